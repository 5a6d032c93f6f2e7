import {
  backingName,
  compactImage,
  type CompactOptions,
  type CompactReport,
} from '../../../index.js';
import { createOutputFile, equalBytes, nodeCompressor } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import { namedFiles } from '../named-files.js';
import { guestOptions, type GuestFlags } from '../guest-options.js';
import { compactJson } from '../present/compact-json.js';
import { compactLines } from '../present/compact-text.js';
import type { Compacted } from '../present/compacted.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import { countText } from '../../text.js';
import { printableText } from '../../../internal.js';

/** Flags of `compact`. */
export interface CompactFlags extends Omit<GuestFlags, 'backing'> {
  readonly output: string;
  readonly snapshot?: readonly string[];
  /** False: none. */
  readonly snapshots: boolean;
  readonly dropZeros?: boolean;
  readonly dedupe?: boolean;
  readonly compress?: 'zlib' | 'zstd';
  readonly clusterSize?: number;
  readonly refcountBits?: CompactOptions['refcountBits'];
  readonly compat?: '0.10' | '1.1';
  readonly extendedL2?: 'on' | 'off';
  readonly force?: boolean;
}

/** `qsnap compact IMAGE -o OUT` */
export function compact(path: string, flags: CompactFlags, context: Context): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      await withImage(path, context, (open) => compactFrom(open, flags, signal, context));
      return EXIT_CODES.done.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

async function compactFrom(
  open: OpenedImage,
  flags: CompactFlags,
  signal: AbortSignal,
  context: Context,
): Promise<void> {
  const { path, image, source, progress } = open;
  const options = { ...optionsOf(open, flags, context), signal };
  const mode = await source.permissions?.();
  const replace = flags.force === true;
  const inputs = [source, ...namedFiles(image, path)];
  const file = await createOutputFile(flags.output, {
    replace,
    inputs,
    ...(mode !== undefined && { mode }),
  });
  let report: CompactReport;
  let newAllocatedBytes: number | undefined;
  try {
    report = await compactImage(image, file.device, options);
    newAllocatedBytes = await file.device.allocatedBytes?.();
    await file.commit();
  } finally {
    progress.stop();
    await file.discard();
  }
  const oldAllocatedBytes = await source.allocatedBytes?.();
  const compacted: Compacted = {
    ...{ path, output: flags.output, image, report, oldAllocatedBytes, newAllocatedBytes },
  };
  warnOfMarks(compacted, context);
  warnOfBackingName(compacted, context);
  tell(compacted, context);
}

function optionsOf(
  { path, image, progress }: OpenedImage,
  flags: CompactFlags,
  context: Context,
): CompactOptions {
  const { snapshot, compat, extendedL2, compress, clusterSize } = flags;
  const none = flags.snapshots ? undefined : [];
  let phase = '';
  return {
    ...guestOptions(flags, context),
    snapshots: snapshot?.map((selector) => selectSnapshot(image, selector)) ?? none,
    dropZeros: flags.dropZeros,
    dedupe: flags.dedupe,
    compress,
    clusterBytes: clusterSize,
    refcountBits: flags.refcountBits,
    version: compat === undefined ? undefined : compat === '1.1' ? 3 : 2,
    extendedL2: extendedL2 === undefined ? undefined : extendedL2 === 'on',
    compressor: nodeCompressor(),
    isEqual: equalBytes,
    onProgress: (now, done, total) => {
      const text = now === 'writing' ? `writing ${flags.output}` : `comparing it with ${path}`;
      if (text !== phase) progress.phase(text);
      phase = text;
      progress.update(done, total);
    },
  };
}

function tell(compacted: Compacted, context: Context): void {
  const { path, report } = compacted;
  if (report.bitmapsLeftOut > 0) {
    const bitmaps = countText(report.bitmapsLeftOut, 'persistent bitmap');
    printWarning(context, `${printableText(path)}: ${bitmaps} left out of the new image`);
  }
  if (context.json) printJson(context, compactJson(compacted));
  else if (!context.quiet) printLines(context, compactLines(compacted));
}

/** The new image has no such mark, and whatever damage the old one reads with. */
function warnOfMarks({ path, image }: Compacted, context: Context): void {
  const { dirty, markedCorrupt } = image.header;
  if (!dirty && !markedCorrupt) return;
  const mark = markedCorrupt ? 'corrupt' : 'dirty';
  printWarning(
    context,
    `${printableText(path)} is marked ${mark}, and the new image has what it reads as: \`qsnap check\` tells more`,
  );
}

/** A relative name leads elsewhere from another folder. */
function warnOfBackingName({ path, output, image }: Compacted, context: Context): void {
  const name = backingName(image);
  if (name === undefined) return;
  const [before, after] = [path, output].map((file) => namedFiles(image, file).join());
  if (before === after) return;
  printWarning(
    context,
    `${printableText(output)}: its backing file is "${printableText(name)}" as before, which leads elsewhere from this folder`,
  );
}
