import { freedByDeleting, measureUsage, type Snapshot } from '../../../index.js';
import { printableText } from '../../../internal.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { usageJson } from '../present/usage-json.js';
import { usageSvg } from '../present/usage-svg.js';
import { usageLines, type SetFreed } from '../present/usage-text.js';
import { tellOfImages, type OpenedImage } from '../reading.js';
import { selectSnapshot } from '../selection.js';
import { refuseUnreadImage } from '../unread.js';
import { namedFiles } from '../named-files.js';
import { newTextFile } from '../text-file.js';

/** Flags of `usage`. */
export interface UsageFlags {
  /** Selectors of snapshots, with commas between them. */
  readonly ifDeleted?: readonly string[];
  readonly svg?: string;
  readonly force?: boolean;
}

/** `qsnap usage IMAGE…` */
export function usage(
  paths: readonly string[],
  flags: UsageFlags,
  context: Context,
): Promise<ExitCode> {
  return tellOfImages(paths, context, async (open) => {
    const { image, progress, source } = open;
    refuseUnreadImage(image);
    const chosen = chosenOf(open, flags);
    const picture = await pictureFile(open, flags);
    try {
      progress.phase(`measuring ${open.path}`);
      const measured = await measureUsage(image, {
        onProgress: (done) => {
          progress.update(done, 1);
        },
      });
      const set: SetFreed | undefined = chosen && {
        snapshots: chosen,
        freed: freedByDeleting(measured, chosen),
      };
      const taken = await source.allocatedBytes?.();
      await picture?.write(usageSvg(open.path, measured));
      const lines = usageLines(measured, taken, set);
      return {
        json: usageJson(measured, taken, set),
        lines: paths.length > 1 ? [`${printableText(open.path)}:`, ...lines] : lines,
        isWhole: true,
      };
    } finally {
      await picture?.discard();
    }
  });
}

function chosenOf(
  { image }: OpenedImage,
  { ifDeleted }: UsageFlags,
): readonly Snapshot[] | undefined {
  return ifDeleted?.flatMap((text) => {
    // A name may have commas, too.
    const isOne = image.snapshots.some(({ id, name }) => id === text || name === text);
    return (isOne ? [text] : text.split(',')).map((one) => selectSnapshot(image, one));
  });
}

function pictureFile({ image, source, path }: OpenedImage, { svg, force }: UsageFlags) {
  if (svg === undefined) return undefined;
  const inputs = [source, ...namedFiles(image, path)];
  return newTextFile(svg, { replace: force === true, inputs });
}
