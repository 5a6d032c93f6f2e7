import { dehydrateImage, rehydrateImage, type BlockDevice } from '../../../index.js';
import { createOutputFile, nodeCompressor } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import { namedFiles } from '../named-files.js';
import { dehydratedJson } from '../present/dehydrate-json.js';
import { dehydratedLines, dehydratedWarnings } from '../present/dehydrate-text.js';
import type { Dehydrated, WrittenReport } from '../present/dehydrated.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `rehydrate`. */
export interface RehydrateFlags {
  readonly output: string;
  readonly force?: boolean;
}

/** Flags of `dehydrate`. */
export interface DehydrateFlags extends RehydrateFlags {
  readonly keepNames?: boolean;
}

/** `qsnap dehydrate IMAGE -o OUT` */
export function dehydrate(
  path: string,
  flags: DehydrateFlags,
  context: Context,
): Promise<ExitCode> {
  const { keepNames } = flags;
  return newImage(path, flags, context, async ({ image, progress }, device, signal) => {
    progress.phase(`copying the metadata of ${path}`);
    const options = { compressor: nodeCompressor(), onProgress: progress.update };
    const report = await dehydrateImage(image, device, { ...options, keepNames, signal });
    return { operation: 'dehydrate', report };
  });
}

/** `qsnap rehydrate IMAGE -o OUT` */
export function rehydrate(
  path: string,
  flags: RehydrateFlags,
  context: Context,
): Promise<ExitCode> {
  return newImage(path, flags, context, async ({ image, progress }, device, signal) => {
    progress.phase(`writing ${flags.output}`);
    const compressor = nodeCompressor();
    const onProgress = progress.update;
    const report = await rehydrateImage(image, device, { compressor, signal, onProgress });
    return { operation: 'rehydrate', report };
  });
}

type Write = (
  open: OpenedImage,
  device: BlockDevice,
  signal: AbortSignal,
) => Promise<WrittenReport>;

function newImage(
  path: string,
  flags: RehydrateFlags,
  context: Context,
  write: Write,
): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      await withImage(path, context, (open) =>
        writeFrom(open, flags, context, (device) => {
          return write(open, device, signal);
        }),
      );
      return EXIT_CODES.done.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

/** Writes the new image under a temporary name, and gives it its own. */
async function writeFrom(
  { path, image, source, progress }: OpenedImage,
  { output, force }: RehydrateFlags,
  context: Context,
  write: (device: BlockDevice) => Promise<WrittenReport>,
): Promise<void> {
  const mode = await source.permissions?.();
  const file = await createOutputFile(output, {
    replace: force === true,
    inputs: [source, ...namedFiles(image, path)],
    ...(mode !== undefined && { mode }),
  });
  let dehydrated: Dehydrated;
  try {
    const written = await write(file.device);
    const allocatedBytes = await file.device.allocatedBytes?.();
    await file.commit();
    dehydrated = { path, output, image, allocatedBytes, ...written };
  } finally {
    progress.stop();
    await file.discard();
  }
  for (const line of dehydratedWarnings(dehydrated)) printWarning(context, line);
  if (context.json) printJson(context, dehydratedJson(dehydrated));
  else if (!context.quiet) printLines(context, dehydratedLines(dehydrated));
}
