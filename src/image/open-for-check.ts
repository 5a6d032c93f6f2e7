import { decodeStruct } from '../base/struct.js';
import { isAligned } from '../base/units.js';
import { isQsnapError, type QsnapError } from '../errors.js';
import type { BlockSource } from '../io/device.js';
import type { PersistentBitmap } from '../qcow2/bitmap-directory.js';
import type { Geometry } from '../qcow2/geometry.js';
import { parseExtensions, type HeaderExtension } from '../qcow2/extensions.js';
import { parseHeaderAround, type Header } from '../qcow2/header.js';
import { LIMITS } from '../qcow2/limits.js';
import { HEADER_V2 } from '../qcow2/spec.js';
import {
  readSnapshotTableLeniently,
  type LenientSnapshotTable,
  type SnapshotTableReading,
} from '../qcow2/snapshot-table-lenient.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { OpenImage } from './image.js';
import { readBitmaps, readHead, type OpenOptions } from './open.js';
import { readBehindTable } from './unlisted.js';

/** What the header says of the snapshot table, as stored. */
export interface SnapshotTablePointer {
  readonly claimed: number;
  readonly at: bigint;
  /** Why no table can be there; undefined where one can. */
  readonly problem: 'too-many' | 'misplaced' | undefined;
}

/** An image opened for a check: as much of it as can be read. */
export interface CheckedImage {
  /**
   * The readable snapshots alone; one whose L1 table can't be right has an L1 of no entries. Not
   * for edits but those that a repair makes.
   */
  readonly image: OpenImage;
  readonly pointer: SnapshotTablePointer;
  /** The snapshot table as QEMU takes it, which `image` has too. */
  readonly table: SnapshotTableReading;
  /** The snapshot table as far as it is whole. */
  readonly listed: SnapshotTableReading;
  /** What looks like entries behind the table; see `unlistedSnapshots`. */
  readonly behindTable: readonly Snapshot[];
  /** Why no refcount table can be where the header says; `image` has none then. QEMU opens no such image. */
  readonly refcountTableProblem: QsnapError | undefined;
  /** The bitmaps bit is set, and there is no bitmaps extension. */
  readonly bitmapsMissing: boolean;
  /**
   * Why nothing of the bitmaps can be read: their extension or their directory can't be right. `image` has no
   * bitmaps then, nor the extension where that is what is wrong. QEMU opens no such image.
   */
  readonly bitmapsProblem: QsnapError | undefined;
}

/** How many disks the header claims: the active one, and one a snapshot. */
export function claimedDisks({ pointer }: CheckedImage): number {
  return Math.min(pointer.claimed, LIMITS.snapshotsMax.value) + 1;
}

const FIRST_READ_BYTES = 4096;
const NOTHING = { snapshots: [], bytes: 0, faults: [], stop: undefined };
const EMPTY: LenientSnapshotTable = { ...NOTHING, asQemuReads: NOTHING };

/**
 * Opens an image for a check: what makes QEMU refuse to open it is an error as in `openImage`, but
 * the snapshot table may be in any state.
 *
 * @throws QsnapError NOT_QCOW2 and the other `image` codes, READ_FAILED.
 * QEMU: block/qcow2.c, qcow2_do_open with BDRV_O_CHECK.
 */
export async function openForCheck(
  source: BlockSource,
  options: OpenOptions = {},
): Promise<CheckedImage> {
  let pointer: SnapshotTablePointer = { claimed: 0, at: 0n, problem: undefined };
  let refcountTableProblem: QsnapError | undefined;
  let bitmapsProblem: QsnapError | undefined;
  const parse = (bytes: Uint8Array, fileSizeBytes: number): Header => {
    const raw = decodeStruct(HEADER_V2, bytes);
    const { header: parsed, misplaced } = parseHeaderAround(withoutSnapshots(bytes), fileSizeBytes);
    const misplacedL1 = misplaced.get('activeL1');
    if (misplacedL1 !== undefined && !isOverHeader(raw, misplacedL1)) throw misplacedL1;
    const activeL1 = { at: 0, entries: raw.l1Entries };
    const refcountTable = refcountTableOf(raw, parsed);
    if (refcountTable === undefined) refcountTableProblem = misplaced.get('refcountTable');
    const header = {
      ...parsed,
      refcountTable: refcountTable ?? parsed.refcountTable,
      ...(misplacedL1 !== undefined && { activeL1 }),
    };
    pointer = pointerOf(raw.snapshotCount, raw.snapshotTableAt, header);
    if (!isPlaced(pointer.at, header.geometry)) return header;
    const count = Math.min(pointer.claimed, LIMITS.snapshotsMax.value);
    return { ...header, snapshotTable: { at: Number(pointer.at), count } };
  };
  const head = await readHead(source, options, parse, (cluster, header) => {
    const { extensions, problem } = extensionsAround(cluster, header);
    bitmapsProblem = problem;
    return extensions;
  });
  const { header, extensions, fileSizeBytes } = head;
  const bitmapsMissing =
    header.bitmapsConsistent &&
    bitmapsProblem === undefined &&
    !extensions.some(({ kind }) => kind === 'bitmaps');
  let bitmaps: readonly PersistentBitmap[] = [];
  if (!bitmapsMissing && bitmapsProblem === undefined) {
    const read = await readBitmapsLeniently(source, header, extensions, fileSizeBytes);
    if (isQsnapError(read)) bitmapsProblem = read;
    else bitmaps = read;
  }
  const listed =
    pointer.problem === 'too-many' && isPlaced(pointer.at, header.geometry)
      ? await readFirstSnapshots(source, header, fileSizeBytes, pointer.claimed)
      : await readSnapshotsLeniently(source, header, fileSizeBytes);
  const table = listed.asQemuReads;
  const image: OpenImage = {
    ...head,
    snapshots: table.snapshots,
    snapshotTableBytes: table.bytes,
    bitmaps,
  };
  const isWhole = pointer.problem === undefined && table.stop === undefined;
  const behindTable = isWhole
    ? await readBehindTable(source, header, table.bytes, fileSizeBytes)
    : [];
  return {
    ...{ image, pointer, table, listed, behindTable },
    ...{ refcountTableProblem, bitmapsMissing, bitmapsProblem },
  };
}

/**
 * The extensions, without that of the bitmaps where it alone can't be right, and why.
 *
 * @throws QsnapError EXTENSION_INVALID for all others.
 */
function extensionsAround(
  cluster: Uint8Array,
  header: Header,
): { readonly extensions: readonly HeaderExtension[]; readonly problem?: QsnapError } {
  try {
    return parseExtensions(cluster, header);
  } catch (error) {
    if (!isQsnapError(error) || !header.bitmapsConsistent) throw error;
    // Once the header says that nobody may trust the bitmaps, they are not judged: is all else right then?
    const { extensions } = parseExtensions(cluster, { ...header, bitmapsConsistent: false });
    return { extensions: extensions.filter(({ kind }) => kind !== 'bitmaps'), problem: error };
  }
}

/** The bitmaps, or why their directory can't be read. @throws QsnapError READ_FAILED. */
async function readBitmapsLeniently(
  ...[source, header, extensions, fileSizeBytes]: Parameters<typeof readBitmaps>
): Promise<readonly PersistentBitmap[] | QsnapError> {
  try {
    return await readBitmaps(source, header, extensions, fileSizeBytes);
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return error;
  }
}

/** The header with no snapshot table, so that a bad one is no reason not to open the image. */
function withoutSnapshots(head: Uint8Array): Uint8Array {
  return head.slice().fill(0, HEADER_V2.snapshotCount.at, HEADER_V2.snapshotTableAt.at + 8);
}

/**
 * Whether the only problem of the active L1 is its offset of 0. QEMU opens such an image, and reads the header's bytes
 * as L1 entries.
 *
 * QEMU: block/qcow2.c, qcow2_validate_table.
 */
function isOverHeader({ l1At }: { readonly l1At: bigint }, { details }: QsnapError): boolean {
  return l1At === 0n && details.at === HEADER_V2.l1At.at;
}

/**
 * The refcount table that QEMU would read. It may be empty, or lie over the header.
 *
 * @returns undefined if QEMU refuses to open the image because of its refcount table.
 *
 * QEMU: block/qcow2.c, qcow2_validate_table.
 */
function refcountTableOf(
  raw: { readonly refcountTableAt: bigint; readonly refcountTableClusters: number },
  { geometry }: Header,
): Header['refcountTable'] | undefined {
  const { refcountTableAt: at, refcountTableClusters: clusters } = raw;
  const isPlaced =
    at <= BigInt(Number.MAX_SAFE_INTEGER) && isAligned(Number(at), geometry.clusterBytes);
  const isTooLong = clusters * geometry.clusterBytes > LIMITS.refcountTableBytesMax.value;
  return isPlaced && !isTooLong ? { at: Number(at), clusters } : undefined;
}

/**
 * What the header says of the snapshot table: a place is judged even where no snapshots are.
 *
 * QEMU: block/qcow2.c, qcow2_validate_table.
 */
export function pointerOf(claimed: number, at: bigint, { geometry }: Header): SnapshotTablePointer {
  if (claimed > LIMITS.snapshotsMax.value) return { claimed, at, problem: 'too-many' };
  return { claimed, at, problem: isPlaced(at, geometry) ? undefined : 'misplaced' };
}

function isPlaced(at: bigint, { clusterBytes }: Geometry): boolean {
  return isExact(at) && isAligned(Number(at), clusterBytes);
}

/** Whether a number holds the value. Multiples of 512 below 2^62 are exact; QEMU reads up to 2^63. */
function isExact(value: bigint): boolean {
  return value < 2n ** 63n && BigInt(Number(value)) === value;
}

/** The whole snapshots at the start of the table, if the header claims more than any program reads. */
async function readFirstSnapshots(
  source: BlockSource,
  header: Header,
  fileSizeBytes: number,
  claimed: number,
): Promise<LenientSnapshotTable> {
  const read = await readSnapshotsLeniently(source, header, fileSizeBytes, true);
  const { snapshots, bytes, faults } = read;
  const at = header.snapshotTable.at + bytes;
  const all = { reason: 'too-many', index: snapshots.length, at, value: claimed } as const;
  const whole = { snapshots, bytes, faults, stop: read.stop ?? all };
  return { ...whole, asQemuReads: whole };
}

/**
 * Reads as much of the snapshot table as can be read.
 *
 * @param onlyWhole whether reading ends with the first entry that is lost.
 * @throws QsnapError READ_FAILED.
 */
export async function readSnapshotsLeniently(
  source: BlockSource,
  header: Pick<Header, 'snapshotTable' | 'diskSizeBytes' | 'geometry'>,
  fileSizeBytes: number,
  onlyWhole = false,
): Promise<LenientSnapshotTable> {
  const { count, at } = header.snapshotTable;
  if (count === 0) return EMPTY;
  const context = {
    count,
    at,
    diskSizeBytes: header.diskSizeBytes,
    clusterBytes: header.geometry.clusterBytes,
    fileSizeBytes,
  };
  for (let wanted = FIRST_READ_BYTES; ;) {
    const bytes = new Uint8Array(wanted);
    if (at < fileSizeBytes) await source.readBatch([{ at, into: bytes }]);
    const read = readSnapshotTableLeniently(bytes, context, onlyWhole);
    if ('snapshots' in read) return read;
    wanted = read.moreBytes;
  }
}
