import { openGuestDisk, type Extent, type GuestDisk } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { shownLocation } from '../../remote/location.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText } from '../../text.js';
import { hostGate } from '../host-gate.js';
import { printJson, printWarning, type Context } from '../context.js';
import { extentJson } from '../present/map-json.js';
import { mapLines, mapTitle } from '../present/map-text.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import { StreamedJson } from '../streamed-json.js';
import { unreadJson } from '../unread.js';

/** Flags of `map`. */
export interface MapFlags {
  readonly backing?: boolean;
}

/** `qsnap map IMAGE [SNAPSHOT]` */
export async function map(
  path: string,
  selector: string | undefined,
  flags: MapFlags,
  context: Context,
): Promise<ExitCode> {
  const printer = context.json ? jsonPrinter(context) : textPrinter(context);
  let unreadableBytes = 0;
  try {
    await withImage(path, context, async (open) => {
      const { image, progress } = open;
      const snapshot = selector === undefined ? undefined : selectSnapshot(image, selector);
      const gate = flags.backing === true ? hostGate(context) : undefined;
      const disk = await openGuestDisk(image, { snapshot, gate, unreadableExtents: true });
      try {
        const sizeBytes = await disk.sizeBytes();
        progress.stop();
        printer.begin({ open, disk, sizeBytes, snapshot: snapshot?.id });
        for await (const extents of disk.extents(0, sizeBytes)) {
          unreadableBytes += unreadableIn(extents);
          printer.extents(extents);
        }
      } finally {
        await disk.close();
      }
    });
    printer.end();
    if (unreadableBytes === 0) return EXIT_CODES.done.code;
    const lost = `${countText(unreadableBytes, 'byte')} of the disk can't be read`;
    printWarning(context, `${printableText(shownLocation(path))}: ${lost}`);
    return EXIT_CODES.notDone.code;
  } catch (error) {
    reportFailure(error, path, 'read', context);
    printer.fail(errorJson(error, 'read'));
    return EXIT_CODES.notDone.code;
  }
}

function unreadableIn(extents: readonly Extent[]): number {
  return extents.reduce((sum, { kind, length }) => (kind === 'unreadable' ? sum + length : sum), 0);
}

interface Mapped {
  readonly open: OpenedImage;
  readonly disk: GuestDisk;
  readonly sizeBytes: number;
  readonly snapshot: string | undefined;
}

/** Maps can be longer than memory: they are printed as they come. */
interface Printer {
  readonly begin: (mapped: Mapped) => void;
  readonly extents: (extents: readonly Extent[]) => void;
  readonly end: () => void;
  /** Instead of `end`, or of everything. */
  readonly fail: (error: Record<string, unknown>) => void;
}

function textPrinter({ io, quiet }: Context): Printer {
  let mapped: Mapped | undefined;
  let leftToBacking = false;
  return {
    begin: (begun) => {
      mapped = begun;
      io.stdout.write(`${mapTitle()}\n`);
    },
    extents: (extents) => {
      const { open, disk } = mapped!;
      leftToBacking ||= extents.some(({ kind }) => kind === 'backing');
      const lines = mapLines(extents, open.image, disk);
      if (lines.length > 0) io.stdout.write(`${lines.join('\n')}\n`);
    },
    end: () => {
      if (!leftToBacking || quiet) return;
      io.stdout.write('`--backing` opens the backing file and maps what lies in it\n');
    },
    fail: () => undefined,
  };
}

/** docs/schema/map.json. */
function jsonPrinter(context: Context): Printer {
  const document = new StreamedJson(context.io.stdout);
  let mapped: Mapped | undefined;
  return {
    begin: (begun) => {
      mapped = begun;
      const { snapshot, sizeBytes, open } = begun;
      const before = {
        filename: open.path,
        ...(snapshot !== undefined && { snapshot }),
        ...unreadJson(open.image),
        'virtual-size': sizeBytes,
      };
      document.begin(before, 'map');
    },
    extents: (extents) => {
      document.items(extents.map((extent) => extentJson(extent, mapped!.disk)));
    },
    end: () => {
      document.end();
    },
    fail: (error) => {
      if (mapped === undefined) printJson(context, { error });
      else document.end({ error });
    },
  };
}
