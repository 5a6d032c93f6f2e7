import { decodeStruct } from '../base/struct.js';
import { hostOffset, isAligned } from '../base/units.js';
import type { BlockSource } from '../io/device.js';
import { parseHeader, type Header } from '../qcow2/header.js';
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
  const head = await readHead(source, (bytes, fileSizeBytes) => {
    const raw = decodeStruct(HEADER_V2, bytes);
    const parsed = parseHeader(withoutSnapshots(bytes), fileSizeBytes);
    const refcountTable = { ...parsed.refcountTable, clusters: raw.refcountTableClusters };
    const header = { ...parsed, refcountTable };
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
  const listed = await readTable(source, header, fileSizeBytes);
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
  return { image, pointer, table, listed, behindTable, bitmapsMissing };
}

/**
 * The header with no snapshot table and some refcount table, so that a bad one or none is no reason
 * not to open the image.
 */
function withoutSnapshots(head: Uint8Array): Uint8Array {
  const bytes = head.slice();
  const { at } = HEADER_V2.refcountTableClusters;
  if (bytes.subarray(at, at + 4).every((byte) => byte === 0)) bytes[at + 3] = 1;
  bytes.fill(0, HEADER_V2.snapshotCount.at, HEADER_V2.snapshotTableAt.at + 8);
  return bytes;
}

/** QEMU: block/qcow2.c, qcow2_validate_table: a place is judged even where no snapshots are. */
function pointerOf(claimed: number, at: bigint, { geometry }: Header): SnapshotTablePointer {
  if (claimed > LIMITS.snapshotsMax.value) return { claimed, at, problem: 'too-many' };
  const placed = isExact(at) && isAligned(Number(at), geometry.clusterBytes);
  return { claimed, at, problem: placed ? undefined : 'misplaced' };
}

/** Whether a number holds the value. Multiples of 512 below 2^62 are exact; QEMU reads up to 2^63. */
function isExact(value: bigint): boolean {
  return value < 2n ** 63n && BigInt(Number(value)) === value;
}

async function readTable(
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
