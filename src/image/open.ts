import { KiB } from '../base/units.js';
import { isQsnapError, QsnapError } from '../errors.js';
import type { BlockSource } from '../io/device.js';
import { editsBegun } from '../io/edits.js';
import { parseBitmapDirectory, type PersistentBitmap } from '../qcow2/bitmap-directory.js';
import { parseExtensions, type HeaderExtension } from '../qcow2/extensions.js';
import { parseHeader, type Header } from '../qcow2/header.js';
import { parseSnapshotTable, type SnapshotTable } from '../qcow2/snapshot-table.js';
import type { Image, OpenImage } from './image.js';

/** Holds the first cluster of an image with default options, and so all of its header area. */
const FIRST_READ_BYTES = 64 * KiB;
/** Holds the first cluster of an image with small clusters. */
const SECOND_READ_BYTES = 4 * KiB;
/** Room for a dozen snapshots with names of common length. */
const SNAPSHOT_TABLE_FIRST_READ_BYTES = 4 * KiB;

/** How an image is opened. */
export interface OpenOptions {
  /**
   * Whether an edit may make the file longer; without it, what the source says. `false`: new tables go to
   * clusters that are free inside the file.
   */
  readonly mayGrow?: boolean | undefined;
}

/**
 * Reads what an image says of itself: header, extensions, snapshot table, bitmap directory. Three
 * reads at most for a common image; nothing that the image names is opened, nothing is written.
 *
 * ```ts
 * const image = await openImage(memoryDevice(bytes));
 * console.log(image.header.version, image.header.diskSizeBytes, image.snapshots.length);
 * ```
 *
 * @throws QsnapError NOT_QCOW2 and the other `image` codes, READ_FAILED.
 */
export async function openImage<Source extends BlockSource>(
  source: Source,
  options: OpenOptions = {},
): Promise<OpenImage<Source>> {
  const opened = await readHead(source, options, parseHeader);
  const { header, fileSizeBytes } = opened;
  const table = await readSnapshotTable(source, header, fileSizeBytes);
  return {
    ...opened,
    snapshots: table.snapshots,
    snapshotTableBytes: table.bytes,
    // A bit without bitmaps is no reason to refuse: nothing is there that an edit could lose.
    bitmaps: lacksBitmaps(opened)
      ? []
      : await readBitmaps(source, header, opened.extensions, fileSizeBytes),
  };
}

/** Whether the header says that bitmaps can be relied on, and there are none. */
export function lacksBitmaps({
  header,
  extensions,
}: Pick<Image, 'header' | 'extensions'>): boolean {
  return header.bitmapsConsistent && !extensions.some(({ kind }) => kind === 'bitmaps');
}

type ExtensionsOf = (cluster: Uint8Array, header: Header) => readonly HeaderExtension[];

/** What the first cluster says. */
export type ImageHead<Source extends BlockSource = BlockSource> = Omit<
  OpenImage<Source>,
  'snapshots' | 'snapshotTableBytes' | 'bitmaps' | 'unread'
>;

/**
 * Reads the first cluster: header, extensions, backing name.
 *
 * @param parse judges the header.
 * @param extensionsOf reads the extensions in the first cluster.
 * @param readStart reads the first bytes: so many at most, and 512 at least.
 * @throws QsnapError what `parse` and `extensionsOf` throw.
 */
export async function readHead<Source extends BlockSource>(
  source: Source,
  { mayGrow }: OpenOptions,
  parse: (head: Uint8Array, fileSizeBytes: number) => Header,
  extensionsOf: ExtensionsOf = (cluster, header) => parseExtensions(cluster, header).extensions,
  readStart: ReadStart = readStartWhole,
): Promise<ImageHead<Source>> {
  const editsBefore = editsBegun(source);
  const fileSizeBytes = await source.sizeBytes();
  const head = await readStart(source, Math.max(fileSizeBytes, 512));
  const header = parse(head, fileSizeBytes);
  const cluster = await readFirstCluster(source, head, header);
  const { at, bytes } = header.backingName;
  return {
    source,
    editsBefore,
    mayGrow: mayGrow ?? source.growable ?? true,
    fileSizeBytes,
    header,
    geometry: header.geometry,
    headerSector: head.slice(0, 512),
    extensions: extensionsOf(cluster, header),
    backingNameBytes: bytes === 0 ? undefined : cluster.slice(at, at + bytes),
  };
}

type ReadStart = (source: BlockSource, most: number) => Promise<Uint8Array>;

const readStartWhole: ReadStart = async (source, most) => {
  const head = new Uint8Array(Math.min(FIRST_READ_BYTES, most));
  await source.readBatch([{ at: 0, into: head }]);
  return head;
};

/** The first bytes: fewer where a medium does not give many, since small clusters need few. */
export async function readStartInPart(source: BlockSource, most: number): Promise<Uint8Array> {
  for (const wanted of [FIRST_READ_BYTES, SECOND_READ_BYTES]) {
    const head = new Uint8Array(Math.min(wanted, most));
    try {
      await source.readBatch([{ at: 0, into: head }]);
      return head;
    } catch (error) {
      if (!isQsnapError(error) || error.code !== 'READ_FAILED') throw error;
    }
  }
  const head = new Uint8Array(512);
  await source.readBatch([{ at: 0, into: head }]);
  return head;
}

/** The first cluster; the read is repeated only where a large cluster holds more than was read. */
async function readFirstCluster(
  source: BlockSource,
  head: Uint8Array,
  header: Header,
): Promise<Uint8Array> {
  const { clusterBytes } = header.geometry;
  if (clusterBytes <= head.length) return head.subarray(0, clusterBytes);
  const cluster = new Uint8Array(clusterBytes);
  await source.readBatch([{ at: 0, into: cluster }]);
  return cluster;
}

async function readSnapshotTable(
  source: BlockSource,
  header: Header,
  fileSizeBytes: number,
): Promise<SnapshotTable> {
  const { count, at } = header.snapshotTable;
  if (count === 0) return { snapshots: [], bytes: 0 };
  const context = {
    count,
    at,
    diskSizeBytes: header.diskSizeBytes,
    clusterBytes: header.geometry.clusterBytes,
    fileSizeBytes,
  };
  if (at >= fileSizeBytes) throw pastTheEnd('snapshot table', at, fileSizeBytes);
  let wanted = Math.min(SNAPSHOT_TABLE_FIRST_READ_BYTES, fileSizeBytes - at);
  for (;;) {
    const bytes = new Uint8Array(wanted);
    await source.readBatch([{ at, into: bytes }]);
    const read = parseSnapshotTable(bytes, context);
    if ('snapshots' in read) return read;
    wanted = read.moreBytes;
  }
}

/**
 * The persistent bitmaps, by their directory; none where the image says that they are stale.
 *
 * @throws QsnapError EXTENSION_INVALID, BITMAPS_INVALID, IMAGE_TRUNCATED.
 */
export async function readBitmaps(
  source: BlockSource,
  header: Header,
  extensions: readonly HeaderExtension[],
  fileSizeBytes: number,
): Promise<readonly PersistentBitmap[]> {
  const extension = extensions.find((candidate) => candidate.kind === 'bitmaps');
  if (!header.bitmapsConsistent) return [];
  if (extension === undefined) {
    throw new QsnapError('EXTENSION_INVALID', 'the bitmaps bit is set, but there are no bitmaps', {
      structure: 'header',
      at: 88,
      expected: 'a bitmaps extension, or autoclear bit 0 clear',
    });
  }
  const { directoryAt, directoryBytes } = extension.bitmaps;
  if (directoryAt + directoryBytes > fileSizeBytes) {
    throw pastTheEnd('bitmap directory', directoryAt, fileSizeBytes);
  }
  const bytes = new Uint8Array(directoryBytes);
  await source.readBatch([{ at: directoryAt, into: bytes }]);
  return parseBitmapDirectory(bytes, extension.bitmaps, header.geometry.clusterBytes);
}

function pastTheEnd(structure: string, at: number, fileSizeBytes: number): QsnapError {
  return new QsnapError(
    'IMAGE_TRUNCATED',
    `the ${structure} lies at byte ${at}, but the file ends at ${fileSizeBytes}`,
    { structure, at, expected: `an offset below ${fileSizeBytes}`, actual: String(at) },
  );
}
