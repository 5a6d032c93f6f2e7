import { diffDisks, type DiffRange, type ReadableImage } from '../../../index.js';
import { COMPARE_EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../context.js';
import type { DiffBytes } from '../diff-bytes.js';
import type { PatchFlags } from '../diff-patch.js';
import type { GuestFlags } from '../guest-options.js';
import { diffBeginJson, diffEndJson } from '../present/diff-json.js';
import { diffLines, diffSummary, diffTitle } from '../present/diff-text.js';
import { DiffTotals, isSame, upTo, type DiffFacts, type DiffSide } from '../present/diff-totals.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import { StreamedJson } from '../streamed-json.js';
import { unreadJson } from '../unread.js';

/** Flags of `diff`. */
export interface DiffFlags extends GuestFlags, PatchFlags {
  readonly content?: boolean;
  readonly extents?: boolean;
}

/** Why options can't go together; undefined if they can. */
export function contradictionIn(flags: DiffFlags): string | undefined {
  const { patch, rawPatch, backingFile, backingFormat } = flags;
  if (patch !== undefined && rawPatch !== undefined) {
    return '--patch and --raw-patch are two ways to write the same: choose one';
  }
  if (patch === undefined && backingFile !== undefined) {
    return '--backing-file is what the overlay of --patch lies on: add it';
  }
  if (backingFile === undefined && backingFormat !== undefined) {
    return '--backing-format is of a --backing-file: add it';
  }
  return undefined;
}

/** What the command line means by the active disk; a snapshot of this name is `name:active`. */
const ACTIVE = 'active';

/** `qsnap diff IMAGE A [B]` */
export function diff(
  path: string,
  words: readonly [a: string, b: string | undefined],
  flags: DiffFlags,
  context: Context,
): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    const printer = printerOf(flags, context);
    try {
      const facts = await withImage(path, context, (open) => {
        const disks = words.map((word) => sideOf(open.image, word)) as [DiffSide, DiffSide];
        return diffOpened({ open, disks, flags, signal, context, printer });
      });
      printer.end(facts);
      return isSame(facts) ? COMPARE_EXIT_CODES.same.code : COMPARE_EXIT_CODES.different.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      printer.fail(errorJson(error, 'read'));
      return COMPARE_EXIT_CODES.notCompared.code;
    }
  });
}

function sideOf(image: ReadableImage, word: string | undefined): DiffSide {
  const snapshot = word === undefined || word === ACTIVE ? undefined : selectSnapshot(image, word);
  return { snapshot, sizeBytes: snapshot?.diskSizeBytes ?? image.header.diskSizeBytes };
}

interface Request {
  readonly open: OpenedImage;
  readonly disks: readonly [DiffSide, DiffSide];
  readonly flags: DiffFlags;
  readonly signal: AbortSignal;
  readonly context: Context;
  readonly printer: Printer;
}

/** Opens the disks where their bytes are asked for. Without them, what reads disks is not even loaded. */
async function diffOpened(request: Request): Promise<DiffFacts> {
  const { open, disks, flags, context } = request;
  const { content, patch, rawPatch } = flags;
  if (content !== true && patch === undefined && rawPatch === undefined) {
    return diffTold(request, { content: undefined, patch: undefined });
  }
  const { withBytes } = await import('../diff-bytes.js');
  return withBytes({ open, disks, flags, context }, (bytes) => diffTold(request, bytes));
}

async function diffTold(request: Request, { content, patch }: DiffBytes): Promise<DiffFacts> {
  const { open, disks, signal, context, printer } = request;
  const { image, progress } = open;
  const facts = { path: open.path, disks, totals: new DiffTotals(), patch: undefined };
  progress.phase(`looking for differences in ${open.path}`);
  // One line of progress and lines of output don't share a terminal.
  if (context.io.stdout.isTerminal) progress.stop();
  printer.begin(facts, image);
  const batches = diffDisks(image, disks[0].snapshot, disks[1].snapshot, {
    ...{ signal, content },
    onProgress: progress.update,
  });
  const told = tellingOf(batches, facts, printer);
  if (patch !== undefined) return { ...facts, patch: await patch.write(told, { signal }) };
  let isDone = false;
  while (!isDone) isDone = (await told.next()).done === true;
  return facts;
}

/** Counts and prints ranges as they pass; what differs goes on. */
async function* tellingOf(
  batches: AsyncIterable<readonly DiffRange[]>,
  { totals }: DiffFacts,
  printer: Printer,
): AsyncGenerator<readonly DiffRange[]> {
  for await (const ranges of batches) {
    totals.add(ranges);
    printer.ranges(ranges);
    const different = ranges.filter(({ kind }) => kind !== 'same-content');
    if (different.length > 0) yield different;
  }
}

/** A diff can be longer than memory: it is printed as it comes. */
interface Printer {
  readonly begin: (facts: DiffFacts, image: ReadableImage) => void;
  readonly ranges: (ranges: readonly DiffRange[]) => void;
  readonly end: (facts: DiffFacts) => void;
  /** Instead of `end`, or of everything. */
  readonly fail: (error: Record<string, unknown>) => void;
}

function printerOf(flags: DiffFlags, context: Context): Printer {
  if (flags.extents === true) return extentsPrinter(context);
  return context.json ? jsonPrinter(flags.content === true, context) : textPrinter(context);
}

function textPrinter(context: Context): Printer {
  let titled = false;
  return {
    begin: () => undefined,
    ranges: (ranges) => {
      if (context.quiet || ranges.length === 0) return;
      printLines(context, [...(titled ? [] : [diffTitle()]), ...diffLines(ranges)]);
      titled = true;
    },
    end: (facts) => {
      if (!context.quiet) printLines(context, diffSummary(facts));
    },
    fail: () => undefined,
  };
}

/** docs/schema/diff.json. */
function jsonPrinter(comparesContent: boolean, context: Context): Printer {
  const document = new StreamedJson(context.io.stdout);
  let begun = false;
  return {
    begin: (facts, image) => {
      document.begin({ ...diffBeginJson(facts), ...unreadJson(image) }, 'ranges');
      begun = true;
    },
    ranges: (ranges) => {
      document.items(ranges);
    },
    end: (facts) => {
      document.end(diffEndJson(facts, comparesContent));
    },
    fail: (error) => {
      if (begun) document.end({ error });
      else printJson(context, { error });
    },
  };
}

/** docs/schema/changed-blocks.json: what differs on the second disk, whatever is there now. */
function extentsPrinter({ io: { stdout }, json }: Context): Printer {
  let sizeBytes = 0;
  let separator = '[\n  ';
  let open: { readonly start: number; readonly length: number } | undefined;
  const print = (): void => {
    if (open === undefined) return;
    stdout.write(separator + JSON.stringify(open));
    separator = ',\n  ';
  };
  return {
    begin: ({ disks }) => {
      sizeBytes = disks[1].sizeBytes;
    },
    ranges: (ranges) => {
      for (const { start, length, kind } of upTo(ranges, sizeBytes)) {
        if (kind === 'same-content') continue;
        if (open !== undefined && open.start + open.length === start) {
          open = { start: open.start, length: open.length + length };
          continue;
        }
        print();
        open = { start, length };
      }
    },
    end: () => {
      print();
      stdout.write(open === undefined ? '[]\n' : '\n]\n');
    },
    // A list that was begun stays open, so that nobody takes it for a whole one.
    fail: (error) => {
      if (json && separator.startsWith('[')) stdout.write(`${JSON.stringify({ error })}\n`);
    },
  };
}
