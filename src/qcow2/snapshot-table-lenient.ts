import { decodeStruct } from '../base/struct.js';
import { isPrintable } from '../base/text.js';
import { roundUp } from '../base/units.js';
import { LIMITS } from './limits.js';
import { SNAPSHOT_ENTRY, SNAPSHOT_ENTRY_BYTES, SNAPSHOT_EXTRA } from './spec.js';
import {
  decodeSnapshotEntry,
  type Snapshot,
  type SnapshotNarrowing,
  type SnapshotTableContext,
} from './snapshot-table.js';

/** A field of an entry that holds what no such field can, while the rest of the entry is readable. */
export interface SnapshotFault {
  readonly index: number;
  readonly field: 'l1-offset' | 'l1-entries' | 'VM state size' | 'disk size';
  /** Byte offset of the field in the file. */
  readonly at: number;
  readonly value: bigint;
  /** The L1 offset and entries as stored. */
  readonly l1At: bigint;
  readonly l1Entries: number;
}

/** Why reading ended before the last entry. */
export interface SnapshotTableStop {
  /**
   * The first two are QEMU's. Ours: an entry of which the file lacks a part is `past-the-end`; one
   * without id that has no L1 table or no date is `blank`; one by `isMisread` is `misread`. No program writes
   * any of them, so all are lost entries. `too-many`: the header claims more entries than anybody reads.
   */
  readonly reason:
    'extra-data-too-long' | 'table-too-long' | 'past-the-end' | 'blank' | 'misread' | 'too-many';
  readonly index: number;
  /** Byte offset in the file. */
  readonly at: number;
  /**
   * In bytes: the length that is too much; for `past-the-end` what the file lacks of the entry; for `misread` the
   * id and the name. For `too-many` how many are claimed. Else 0.
   */
  readonly value: number;
}

/** All that a snapshot table gave to one reader. */
export interface SnapshotTableReading {
  /** Entries in order; an L1 table that can't be right counts as one of no entries. */
  readonly snapshots: readonly Snapshot[];
  /** Length of what was read, without the padding of the last entry. */
  readonly bytes: number;
  readonly faults: readonly SnapshotFault[];
  readonly stop: SnapshotTableStop | undefined;
}

/** What is whole of a snapshot table: all entries before the first that is lost. */
export interface LenientSnapshotTable extends SnapshotTableReading {
  /** The same as QEMU takes it: past the end of the file are zeros, and zeros are an entry. */
  readonly asQemuReads: SnapshotTableReading;
}

/**
 * Reads as many entries of a snapshot table as can be read, from a prefix of it; what lies past the
 * end of the file is to be given as zeros. Throws nothing.
 *
 * @param onlyWhole whether reading ends with the first entry that is lost; `asQemuReads` is the same then.
 * QEMU: block/qcow2-snapshot.c, qcow2_do_read_snapshots. Spec: Snapshots.
 */
export function readSnapshotTableLeniently(
  bytes: Uint8Array,
  context: SnapshotTableContext,
  onlyWhole = false,
): LenientSnapshotTable | { readonly moreBytes: number } {
  const snapshots: Snapshot[] = [];
  const faults: SnapshotFault[] = [];
  const tableMax = LIMITS.snapshotTableBytesMax.value;
  let whole: SnapshotTableReading | undefined;
  let end = 0;
  const readUpTo = (stop: SnapshotTableStop | undefined): LenientSnapshotTable => {
    const asQemuReads = { snapshots, bytes: end, faults, stop };
    return { ...(whole ?? asQemuReads), asQemuReads };
  };
  for (let index = 0; index < context.count; index++) {
    const at = roundUp(end, 8);
    if (at + SNAPSHOT_ENTRY_BYTES > bytes.length) return more(bytes, at);
    const raw = decodeStruct(SNAPSHOT_ENTRY, bytes, at);
    if (raw.extraDataBytes > LIMITS.snapshotExtraBytesMax.value) {
      const where = context.at + at + SNAPSHOT_ENTRY.extraDataBytes.at;
      const value = raw.extraDataBytes;
      return readUpTo({ reason: 'extra-data-too-long', index, at: where, value });
    }
    const after = at + SNAPSHOT_ENTRY_BYTES + raw.extraDataBytes + raw.idBytes + raw.nameBytes;
    if (after > bytes.length) return more(bytes, after);
    if (after > tableMax) {
      return readUpTo({ reason: 'table-too-long', index, at: context.at + at, value: after });
    }
    const text = bytes.subarray(after - raw.nameBytes - raw.idBytes, after);
    const stop = whole === undefined ? lost(raw, text, index, at, context) : undefined;
    if (stop !== undefined && onlyWhole) return readUpTo(stop);
    if (stop !== undefined) {
      whole = { snapshots: snapshots.slice(), bytes: end, faults: faults.slice(), stop };
    }
    const narrowing = lenient(context, raw, faults);
    snapshots.push(decodeSnapshotEntry(bytes, at, context, index, narrowing));
    end = after;
  }
  return readUpTo(undefined);
}

/**
 * Why the entry at `at` is lost, though it can be decoded; undefined for one that is not.
 *
 * @param text its id and name.
 */
function lost(
  raw: {
    readonly l1At: bigint;
    readonly l1Entries: number;
    readonly extraDataBytes: number;
    readonly idBytes: number;
    readonly dateSeconds: number;
  },
  text: Uint8Array,
  index: number,
  at: number,
  context: SnapshotTableContext,
): SnapshotTableStop | undefined {
  const where = context.at + at;
  const after = at + SNAPSHOT_ENTRY_BYTES + raw.extraDataBytes + text.length;
  const lacking = context.at + after - context.fileSizeBytes;
  if (lacking > 0) {
    const value = Math.min(lacking, after - at);
    return { reason: 'past-the-end', index, at: where, value };
  }
  const { l1At, l1Entries, idBytes, dateSeconds } = raw;
  const blank = isBlank(l1At === 0n || l1Entries === 0, idBytes, dateSeconds);
  if (blank) return { reason: 'blank', index, at: where, value: 0 };
  const read = { idBytes: text.subarray(0, idBytes), nameBytes: text.subarray(idBytes) };
  return isMisread(read) ? { reason: 'misread', index, at: where, value: text.length } : undefined;
}

/**
 * Whether an entry was most likely read from a wrong place, or with a wrong length: its id or its name holds a
 * zero byte, or is longer than any program writes and no plain text. Then the table may end elsewhere, and what
 * it seems to reach over may be somebody else's.
 *
 * QEMU: both are C strings, of at most 127 and 255 bytes.
 */
export function isMisread({
  idBytes,
  nameBytes,
}: Pick<Snapshot, 'idBytes' | 'nameBytes'>): boolean {
  const { snapshotIdBytesMax, snapshotNameBytesMax } = LIMITS;
  return (
    isNoText(idBytes, snapshotIdBytesMax.value) || isNoText(nameBytes, snapshotNameBytesMax.value)
  );
}

function isNoText(bytes: Uint8Array, usualBytes: number): boolean {
  return bytes.includes(0) || (bytes.length > usualBytes && !isPrintable(bytes));
}

/** Whether a snapshot is none: its entry was read from zeros. */
export function isBlankSnapshot({ l1, idBytes, date }: Snapshot): boolean {
  return isBlank(l1.at === 0 || l1.entries === 0, idBytes.length, date.seconds);
}

function isBlank(isWithoutDisk: boolean, idBytes: number, dateSeconds: number): boolean {
  return idBytes === 0 && (isWithoutDisk || dateSeconds === 0);
}

function more(bytes: Uint8Array, neededBytes: number): { readonly moreBytes: number } {
  return { moreBytes: Math.max(neededBytes + SNAPSHOT_ENTRY_BYTES, bytes.length * 4) };
}

/** What no field can hold becomes a fault, and is replaced by what its absence would mean. */
function lenient(
  context: SnapshotTableContext,
  raw: { readonly l1At: bigint; readonly l1Entries: number },
  faults: SnapshotFault[],
): SnapshotNarrowing {
  const { l1At, l1Entries } = raw;
  const fault = (one: Pick<SnapshotFault, 'index' | 'field' | 'at' | 'value'>): void => {
    faults.push({ ...one, l1At, l1Entries });
  };
  return {
    l1: (at, entries, _context, entryAt, index) => {
      const fileAt = context.at + entryAt;
      // QEMU looks at the place first, then at the length, and then no more.
      const isPlaced = at % BigInt(context.clusterBytes) === 0n;
      const isTooLong = entries > LIMITS.l1BytesMax.value / 8;
      if (isPlaced && isTooLong) {
        const where = fileAt + SNAPSHOT_ENTRY.l1Entries.at;
        fault({ index, field: 'l1-entries', at: where, value: BigInt(entries) });
      } else if (!isPlaced || at >= 2n ** 62n) {
        fault({ index, field: 'l1-offset', at: fileAt, value: at });
      } else {
        return { at: Number(at), entries };
      }
      return { at: 0, entries: 0 };
    },
    size: (value, field, entryAt, index) => {
      if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
      const part =
        field === 'disk size' ? SNAPSHOT_EXTRA.diskSizeBytes : SNAPSHOT_EXTRA.vmStateBytes;
      const at = context.at + entryAt + SNAPSHOT_ENTRY_BYTES + part.at;
      fault({ index, field, at, value });
      return field === 'disk size' ? context.diskSizeBytes : 0;
    },
  };
}
