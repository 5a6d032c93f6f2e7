/** What `diff --patch` and `diff --raw-patch` write. */
import path from 'node:path';
import {
  copyDifferences,
  newQcow2Writer,
  newRawWriter,
  openForReading,
  QsnapError,
  type CopyReport,
  type DiffRange,
  type GuestDisk,
  type ImageWriter,
  type NewImageOptions,
} from '../../index.js';
import { printableText } from '../../internal.js';
import {
  createOutputFile,
  fileIdentity,
  openFile,
  type InputFile,
  type OutputFileOptions,
} from '../../node/index.js';
import type { Context } from './context.js';
import { newLinesFile, type LinesFile } from './lines-file.js';
import { diskText } from './present/compared-side.js';
import { upTo, type DiffSide, type PatchFacts } from './present/diff-totals.js';
import { isUrl } from '../remote/location.js';
import { probedFormat, type OpenedImage } from './reading.js';
import { besideFinished } from './text-file.js';

/** Flags of a patch. */
export interface PatchFlags {
  readonly patch?: string;
  readonly rawPatch?: string;
  readonly backingFile?: string;
  readonly backingFormat?: 'raw' | 'qcow2';
  readonly force?: boolean;
}

/** A patch that has been begun. */
export interface Patch {
  /** Writes the ranges, and gives the files their names. */
  write(
    ranges: AsyncIterable<readonly DiffRange[]>,
    options: { readonly signal: AbortSignal },
  ): Promise<PatchFacts>;
  /** Takes back what has no name yet. */
  discard(): Promise<void>;
}

/** What is patched: the disk that the patch makes, and the one that it lies on. */
export interface PatchedDisks {
  readonly open: OpenedImage;
  readonly before: DiffSide;
  readonly after: DiffSide;
  readonly disk: GuestDisk;
  /** What is read, which no output may be. */
  readonly inputs: readonly InputFile[];
}

/**
 * Begins a patch, so that what is wrong with its names is known before the work.
 *
 * @returns undefined where none is asked for.
 * @throws QsnapError NEW_IMAGE_INVALID for a backing file that is none for this overlay; OUTPUT_EXISTS and whatever else
 *   `createOutputFile` throws.
 */
export async function openPatch(
  disks: PatchedDisks,
  flags: PatchFlags,
  context: Context,
): Promise<Patch | undefined> {
  const mode = await disks.open.source.permissions?.();
  const options = {
    replace: flags.force === true,
    inputs: disks.inputs,
    ...(mode !== undefined && { mode }),
  };
  if (flags.rawPatch !== undefined) return openRawPatch(disks, flags.rawPatch, options);
  if (flags.patch === undefined) return undefined;
  return openOverlay(disks, flags.patch, options, await backingOf(disks, flags, context));
}

async function openOverlay(
  { open, after, disk }: PatchedDisks,
  file: string,
  options: OutputFileOptions,
  backing: BackingFile,
): Promise<Patch> {
  const { geometry } = open.image;
  const output = await createOutputFile(file, {
    ...options,
    inputs: [...(options.inputs ?? []), ...(backing.path === undefined ? [] : [backing.path])],
  });
  const image: NewImageOptions = {
    diskSizeBytes: after.sizeBytes,
    version: 3,
    // As the image has them, so that nothing but what differs is written.
    clusterBytes: geometry.clusterBytes,
    extendedL2: geometry.l2EntryBytes === 16,
    refcountBits: 16,
    lazyRefcounts: false,
    compressionType: 'zlib',
    backing: { name: new TextEncoder().encode(backing.name), format: backing.format },
  };
  return {
    async write(ranges, { signal }) {
      const writer = await newQcow2Writer(output.device, image);
      const report = await written(disk, ranges, writer, signal);
      await output.commit();
      const { name: backingFile } = backing;
      return { file, format: 'qcow2', map: undefined, backingFile, ...bytesOf(report) };
    },
    discard: () => output.discard(),
  };
}

async function openRawPatch(
  { after, disk }: PatchedDisks,
  file: string,
  options: OutputFileOptions,
): Promise<Patch> {
  const output = await createOutputFile(file, options);
  const mapName = `${file}.map.json`;
  let map: LinesFile;
  try {
    map = await newLinesFile(mapName, options);
  } catch (error) {
    await output.discard();
    throw error;
  }
  return {
    async write(ranges, { signal }) {
      const writer = await newRawWriter(output.device, after.sizeBytes);
      const report = await written(disk, noted(ranges, map, after.sizeBytes), writer, signal);
      await output.commit();
      await besideFinished(file, () => map.commit());
      return { file, format: 'raw', map: mapName, backingFile: undefined, ...bytesOf(report) };
    },
    async discard() {
      await output.discard();
      await map.discard();
    },
  };
}

/** Writes each range, up to the end of the disk, to the map as it passes. */
async function* noted(
  batches: AsyncIterable<readonly DiffRange[]>,
  map: LinesFile,
  diskBytes: number,
): AsyncGenerator<readonly DiffRange[]> {
  for await (const ranges of batches) {
    for (const range of upTo(ranges, diskBytes)) await map.add(range);
    yield ranges;
  }
}

async function written(
  disk: GuestDisk,
  ranges: AsyncIterable<readonly DiffRange[]>,
  writer: ImageWriter,
  signal: AbortSignal,
): Promise<CopyReport> {
  const report = await copyDifferences(disk, ranges, writer, { signal });
  await writer.finish();
  return report;
}

function bytesOf({
  dataBytes,
  zeroBytes,
}: CopyReport): Pick<PatchFacts, 'dataBytes' | 'zeroBytes'> {
  return { dataBytes, zeroBytes };
}

/** What an overlay lies on. */
interface BackingFile {
  /** As the overlay names it: as seen from its folder. */
  readonly name: string;
  readonly format: 'raw' | 'qcow2';
  /** Where it is; undefined: the image itself. */
  readonly path: string | undefined;
}

async function backingOf(
  { open, before }: PatchedDisks,
  { patch, backingFile, backingFormat }: PatchFlags,
  context: Context,
): Promise<BackingFile> {
  if (isUrl(open.path) && backingFile === undefined) {
    throw new QsnapError(
      'NEW_IMAGE_INVALID',
      `no overlay can lie on ${printableText(open.path)}: it is on a server`,
      {
        structure: 'backing file name',
        hint: 'name a copy of the disk on this host with --backing-file',
      },
    );
  }
  const isItself =
    !isUrl(open.path) &&
    (await fileIdentity(backingFile ?? open.path)) === (await fileIdentity(open.path));
  if (backingFile === undefined || isItself) {
    if (before.snapshot === undefined) {
      return { name: seenFrom(patch!, open.path), format: 'qcow2', path: undefined };
    }
    throw new QsnapError(
      'NEW_IMAGE_INVALID',
      `no overlay can lie on ${diskText(open.path, before.snapshot)}: a backing file is read as its active disk`,
      {
        structure: 'backing file name',
        hint: 'export the snapshot, and name that file with --backing-file',
      },
    );
  }
  await context.io.willRead?.(backingFile, backingFile);
  const source = await openFile(backingFile, { forceShare: context.forceShare });
  try {
    const format = backingFormat ?? (await probedFormat(source));
    const bytes =
      format === 'raw'
        ? await source.sizeBytes()
        : (await openForReading(source)).header.diskSizeBytes;
    refuseOtherSize(backingFile, bytes, before, open.path);
    return { name: seenFrom(patch!, backingFile), format, path: backingFile };
  } finally {
    await source.close();
  }
}

function refuseOtherSize(file: string, bytes: number, before: DiffSide, image: string): void {
  if (bytes === before.sizeBytes) return;
  const shown = printableText(file);
  throw new QsnapError(
    'NEW_IMAGE_INVALID',
    `${shown} is no copy of ${diskText(image, before.snapshot)}: its disk has ${bytes} bytes`,
    {
      structure: 'backing file name',
      expected: `a disk of ${before.sizeBytes} bytes`,
      actual: String(bytes),
      hint: 'name an export of that disk with --backing-file',
    },
  );
}

/** The name of a file for an image in another folder. QEMU takes what is before a colon for a protocol. */
function seenFrom(overlay: string, file: string): string {
  if (path.isAbsolute(file)) return file;
  const name = path.relative(path.dirname(overlay), file);
  return name.includes(':') ? `./${name}` : name;
}
