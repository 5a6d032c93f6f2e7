import { decodeStruct } from '../base/struct.js';
import { hostOffset, isAligned } from '../base/units.js';
import type { QsnapError } from '../errors.js';
import type { BlockSource } from '../io/device.js';
import { parseHeaderAround, type Header } from '../qcow2/header.js';
import { LIMITS } from '../qcow2/limits.js';
import { HEADER_V2 } from '../qcow2/spec.js';
import {
  readSnapshotTableLeniently,
  type LenientSnapshotTable,
  type SnapshotTableReading,
} from '../qcow2/snapshot-table-lenient.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { Image } from './image.js';
import { readBitmaps, readHead } from './open.js';
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
  readonly image: Image;
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
export async function openForCheck(source: BlockSource): Promise<CheckedImage> {
  let pointer: SnapshotTablePointer = { claimed: 0, at: 0n, problem: undefined };
  let refcountTableProblem: QsnapError | undefined;
  const head = await readHead(source, (bytes, fileSizeBytes) => {
    const raw = decodeStruct(HEADER_V2, bytes);
    const { header: parsed, misplaced } = parseHeaderAround(withoutSnapshots(bytes), fileSizeBytes);
    const misplacedL1 = misplaced.get('activeL1');
    if (misplacedL1 !== undefined) throw misplacedL1;
    const refcountTable = refcountTableOf(raw, parsed);
    if (refcountTable === undefined) refcountTableProblem = misplaced.get('refcountTable');
    const header = { ...parsed, refcountTable: refcountTable ?? parsed.refcountTable };
    pointer = pointerOf(raw.snapshotCount, raw.snapshotTableAt, header);
    if (pointer.problem !== undefined) return header;
    const snapshotTable = { at: hostOffset(Number(pointer.at)), count: pointer.claimed };
    return { ...header, snapshotTable };
  });
  const { header, extensions, fileSizeBytes } = head;
  const bitmapsMissing =
    header.bitmapsConsistent && !extensions.some(({ kind }) => kind === 'bitmaps');
  const bitmaps = bitmapsMissing
    ? []
    : await readBitmaps(source, header, extensions, fileSizeBytes);
  const listed = await readSnapshotsLeniently(source, header, fileSizeBytes);
  const table = listed.asQemuReads;
  const image: Image = {
    ...head,
    snapshots: table.snapshots,
    snapshotTableBytes: table.bytes,
    bitmaps,
  };
  const isWhole = pointer.problem === undefined && table.stop === undefined;
  const behindTable = isWhole
    ? await readBehindTable(source, header, table.bytes, fileSizeBytes)
    : [];
  return { image, pointer, table, listed, behindTable, refcountTableProblem, bitmapsMissing };
}

/** The header with no snapshot table, so that a bad one is no reason not to open the image. */
function withoutSnapshots(head: Uint8Array): Uint8Array {
  return head.slice().fill(0, HEADER_V2.snapshotCount.at, HEADER_V2.snapshotTableAt.at + 8);
}

/**
 * The refcount table where QEMU reads one, be it none or over the header; undefined where it reads
 * none and opens no image.
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
  return isPlaced && !isTooLong ? { at: hostOffset(Number(at)), clusters } : undefined;
}

/**
 * What the header says of the snapshot table: a place is judged even where no snapshots are.
 *
 * QEMU: block/qcow2.c, qcow2_validate_table.
 */
export function pointerOf(claimed: number, at: bigint, { geometry }: Header): SnapshotTablePointer {
  if (claimed > LIMITS.snapshotsMax.value) return { claimed, at, problem: 'too-many' };
  const placed = isExact(at) && isAligned(Number(at), geometry.clusterBytes);
  return { claimed, at, problem: placed ? undefined : 'misplaced' };
}

/** Whether a number holds the value. Multiples of 512 below 2^62 are exact; QEMU reads up to 2^63. */
function isExact(value: bigint): boolean {
  return value < 2n ** 63n && BigInt(Number(value)) === value;
}

/**
 * Reads as much of the snapshot table as can be read.
 *
 * @throws QsnapError READ_FAILED.
 */
export async function readSnapshotsLeniently(
  source: BlockSource,
  header: Header,
  fileSizeBytes: number,
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
    const read = readSnapshotTableLeniently(bytes, context);
    if ('snapshots' in read) return read;
    wanted = read.moreBytes;
  }
}
