import { decodeStruct, encodeStruct } from '../base/struct.js';
import { isValidUtf8, utf8Text } from '../base/text.js';
import { roundUp } from '../base/units.js';
import { exactNumber, hex } from '../base/words.js';
import { QsnapError, type ErrorDetails } from '../errors.js';
import type { L1Ref } from './header.js';
import { LIMITS } from './limits.js';
import {
  ICOUNT_DISABLED,
  SNAPSHOT_ENTRY,
  SNAPSHOT_ENTRY_BYTES,
  SNAPSHOT_EXTRA,
  SNAPSHOT_EXTRA_BYTES,
  SNAPSHOT_EXTRA_BYTES_V3,
} from './spec.js';

/** Time of a snapshot: seconds since the Epoch (to 2106) and nanoseconds as stored. */
export interface SnapshotDate {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** One entry of the snapshot table. Spec: Snapshots. */
export interface Snapshot {
  /** Position in the table, from 0. */
  readonly index: number;
  /** The id decoded as UTF-8, invalid bytes as U+FFFD. */
  readonly id: string;
  readonly idBytes: Uint8Array;
  /** The name decoded as UTF-8, invalid bytes as U+FFFD. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly nameIsUtf8: boolean;
  readonly date: SnapshotDate;
  /** How long the guest had run. */
  readonly vmClockNanoseconds: bigint;
  /** Size of the saved VM state in bytes; 0 for a snapshot of the disk alone. */
  readonly vmStateBytes: number;
  /** Size of the disk in the snapshot, in bytes; the active disk's where the entry has none. */
  readonly diskSizeBytes: number;
  /** Instruction count of record/replay; undefined when absent or disabled. */
  readonly icount: bigint | undefined;
  readonly l1: L1Ref;
  /** The 32-bit VM state size as stored; readers that know the extra data ignore it. */
  readonly vmStateBytes32: number;
  /** All extra data as stored, what qsnap doesn't know included. */
  readonly extraData: Uint8Array;
  /** Byte offset of the entry in the image file. */
  readonly at: number;
}

/** What an entry is encoded from. */
export type SnapshotEntry = Pick<
  Snapshot,
  'idBytes' | 'nameBytes' | 'date' | 'vmClockNanoseconds' | 'vmStateBytes32' | 'extraData' | 'l1'
>;

/** The parsed table and its true length in bytes. */
export interface SnapshotTable {
  readonly snapshots: readonly Snapshot[];
  readonly bytes: number;
}

/** Outcome of reading from a prefix of the table: all entries, or how many bytes to read next. */
export type SnapshotTableRead = SnapshotTable | { readonly moreBytes: number };

export interface SnapshotTableContext {
  readonly count: number;
  /** Byte offset of the table in the file. */
  readonly at: number;
  readonly diskSizeBytes: number;
  readonly clusterBytes: number;
  readonly fileSizeBytes: number;
}

function invalid(
  entry: number,
  message: string,
  details: Required<Pick<ErrorDetails, 'at' | 'expected' | 'actual'>>,
): QsnapError {
  return new QsnapError('SNAPSHOT_TABLE_INVALID', message, {
    structure: 'snapshot table',
    entry,
    ...details,
  });
}

/**
 * Parses a snapshot table out of its first bytes. The table's length is known only after its last
 * entry, so a caller reads a prefix and comes back with more when asked to.
 *
 * @throws QsnapError SNAPSHOT_TABLE_INVALID, IMAGE_TRUNCATED, LIMIT_EXCEEDED.
 * Spec: Snapshots.
 */
export function parseSnapshotTable(
  bytes: Uint8Array,
  context: SnapshotTableContext,
): SnapshotTableRead {
  const snapshots: Snapshot[] = [];
  let at = 0;
  for (let index = 0; index < context.count; index++) {
    if (at + SNAPSHOT_ENTRY_BYTES > bytes.length) return more(bytes, context, at, index);
    const entryBytes = entryLength(bytes, at, context, index);
    if (at + entryBytes > bytes.length) return more(bytes, context, at + entryBytes, index);
    snapshots.push(decodeSnapshotEntry(bytes, at, context, index));
    at += roundUp(entryBytes, 8);
    if (at > LIMITS.snapshotTableBytesMax.value) {
      const max = LIMITS.snapshotTableBytesMax.value;
      const where = context.at + at;
      throw invalid(index, `the snapshot table is longer than ${max} bytes`, {
        at: where,
        expected: `at most ${max} bytes`,
        actual: `${at} bytes`,
      });
    }
  }
  return { snapshots, bytes: at };
}

function more(
  bytes: Uint8Array,
  context: SnapshotTableContext,
  neededBytes: number,
  index: number,
): { moreBytes: number } {
  const available = context.fileSizeBytes - context.at;
  if (bytes.length >= available) {
    throw new QsnapError(
      'IMAGE_TRUNCATED',
      `the file ends inside the snapshot table, in entry ${index} of ${context.count}`,
      { structure: 'snapshot table', at: context.fileSizeBytes },
    );
  }
  const wanted = Math.max(neededBytes + SNAPSHOT_ENTRY_BYTES, bytes.length * 4);
  return { moreBytes: Math.min(wanted, available) };
}

/** Length of an entry without padding. Throws when its extra data exceeds QEMU's limit. */
function entryLength(
  bytes: Uint8Array,
  at: number,
  context: SnapshotTableContext,
  index: number,
): number {
  const raw = decodeStruct(SNAPSHOT_ENTRY, bytes, at);
  const max = LIMITS.snapshotExtraBytesMax.value;
  if (raw.extraDataBytes > max) {
    const message = `snapshot table entry ${index} claims ${raw.extraDataBytes} bytes of extra data`;
    throw invalid(index, message, {
      at: context.at + at + SNAPSHOT_ENTRY.extraDataBytes.at,
      expected: `at most ${max}`,
      actual: String(raw.extraDataBytes),
    });
  }
  return SNAPSHOT_ENTRY_BYTES + raw.extraDataBytes + raw.idBytes + raw.nameBytes;
}

/** How decoded fields become values that the engine can use; throws, or puts another in place. */
export interface SnapshotNarrowing {
  l1(
    at: bigint,
    entries: number,
    context: SnapshotTableContext,
    entryAt: number,
    index: number,
  ): L1Ref;
  /** A size of 64 bits. `what` completes "… of a snapshot". */
  size(value: bigint, what: 'VM state size' | 'disk size', entryAt: number, index: number): number;
}

const STRICT: SnapshotNarrowing = {
  l1: checkedL1,
  size: (value, what) => exactNumber(value, `the ${what} of a snapshot`),
};

/**
 * Decodes one entry that lies wholly in `bytes`.
 *
 * @param at where it begins in `bytes`.
 * @throws QsnapError what `narrowing` throws.
 * Spec: Snapshots.
 */
export function decodeSnapshotEntry(
  bytes: Uint8Array,
  at: number,
  context: SnapshotTableContext,
  index: number,
  narrowing: SnapshotNarrowing = STRICT,
): Snapshot {
  const raw = decodeStruct(SNAPSHOT_ENTRY, bytes, at);
  const extraAt = at + SNAPSHOT_ENTRY_BYTES;
  const idAt = extraAt + raw.extraDataBytes;
  const nameAt = idAt + raw.idBytes;
  const extraData = bytes.slice(extraAt, idAt);
  const idBytes = bytes.slice(idAt, nameAt);
  const nameBytes = bytes.slice(nameAt, nameAt + raw.nameBytes);
  const size = (value: bigint, what: 'VM state size' | 'disk size'): number =>
    narrowing.size(value, what, at, index);
  return {
    index,
    id: utf8Text(idBytes),
    idBytes,
    name: utf8Text(nameBytes),
    nameBytes,
    nameIsUtf8: isValidUtf8(nameBytes),
    date: { seconds: raw.dateSeconds, nanoseconds: raw.dateNanoseconds },
    vmClockNanoseconds: raw.vmClockNanoseconds,
    vmStateBytes32: raw.vmStateBytes32,
    ...decodeExtra(extraData, raw.vmStateBytes32, context.diskSizeBytes, size),
    l1: narrowing.l1(raw.l1At, raw.l1Entries, context, at, index),
    extraData,
    at: context.at + at,
  };
}

/** The sizes that extra data holds; what is absent has its documented meaning. Spec: Snapshots. */
function decodeExtra(
  extraData: Uint8Array,
  vmStateBytes32: number,
  activeDiskSizeBytes: number,
  size: (value: bigint, what: 'VM state size' | 'disk size') => number,
): Pick<Snapshot, 'vmStateBytes' | 'diskSizeBytes' | 'icount'> {
  const padded = new Uint8Array(SNAPSHOT_EXTRA_BYTES);
  padded.set(extraData.subarray(0, SNAPSHOT_EXTRA_BYTES));
  const raw = decodeStruct(SNAPSHOT_EXTRA, padded);
  const hasIcount = extraData.length >= SNAPSHOT_EXTRA_BYTES && raw.icount !== ICOUNT_DISABLED;
  return {
    vmStateBytes: extraData.length >= 8 ? size(raw.vmStateBytes, 'VM state size') : vmStateBytes32,
    diskSizeBytes:
      extraData.length >= SNAPSHOT_EXTRA_BYTES_V3
        ? size(raw.diskSizeBytes, 'disk size')
        : activeDiskSizeBytes,
    icount: hasIcount ? raw.icount : undefined,
  };
}

/**
 * Where a snapshot's L1 lies. Only its form is judged here, so that a list can still be read when
 * one entry points to nowhere; an edit judges the rest.
 */
function checkedL1(
  at: bigint,
  entries: number,
  context: SnapshotTableContext,
  entryAt: number,
  index: number,
): L1Ref {
  const max = LIMITS.l1BytesMax.value / 8;
  if (entries > max) {
    throw invalid(
      index,
      `the L1 table of snapshot table entry ${index} claims ${entries} entries`,
      {
        at: context.at + entryAt + SNAPSHOT_ENTRY.l1Entries.at,
        expected: `at most ${max}`,
        actual: String(entries),
      },
    );
  }
  if (at % BigInt(context.clusterBytes) !== 0n || at >= 2n ** 56n) {
    const message = `the L1 table of snapshot table entry ${index} lies at ${hex(at)}, where none can be`;
    throw invalid(index, message, {
      at: context.at + entryAt,
      expected: `a multiple of the cluster size ${context.clusterBytes}`,
      actual: hex(at),
    });
  }
  return { at: exactNumber(at, 'the L1 offset of a snapshot'), entries };
}

/** The bytes of a whole snapshot table; every entry padded to 8 bytes. Spec: Snapshots. */
export function encodeSnapshotTable(entries: readonly SnapshotEntry[]): Uint8Array {
  const lengths = entries.map((entry) =>
    roundUp(
      SNAPSHOT_ENTRY_BYTES + entry.extraData.length + entry.idBytes.length + entry.nameBytes.length,
      8,
    ),
  );
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  entries.forEach((entry, i) => {
    encodeEntry(entry, bytes, at);
    at += lengths[i]!;
  });
  return bytes;
}

function encodeEntry(entry: SnapshotEntry, bytes: Uint8Array, at: number): void {
  encodeStruct(
    SNAPSHOT_ENTRY,
    {
      l1At: BigInt(entry.l1.at),
      l1Entries: entry.l1.entries,
      idBytes: entry.idBytes.length,
      nameBytes: entry.nameBytes.length,
      dateSeconds: entry.date.seconds,
      dateNanoseconds: entry.date.nanoseconds,
      vmClockNanoseconds: entry.vmClockNanoseconds,
      vmStateBytes32: entry.vmStateBytes32,
      extraDataBytes: entry.extraData.length,
    },
    bytes,
    at,
  );
  let next = at + SNAPSHOT_ENTRY_BYTES;
  for (const part of [entry.extraData, entry.idBytes, entry.nameBytes]) {
    bytes.set(part, next);
    next += part.length;
  }
}

/** Extra data of a new snapshot of the disk alone: no VM state, its size, icount disabled. */
export function extraDataOf(diskSizeBytes: number, icount: bigint = ICOUNT_DISABLED): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT_EXTRA_BYTES);
  encodeStruct(
    SNAPSHOT_EXTRA,
    { vmStateBytes: 0n, diskSizeBytes: BigInt(diskSizeBytes), icount },
    bytes,
  );
  return bytes;
}

/** The entry with no VM state; everything else stays byte for byte. */
export function entryWithoutVmState<Entry extends Omit<SnapshotEntry, 'l1'>>(entry: Entry): Entry {
  const extraData = entry.extraData.slice();
  extraData.fill(0, SNAPSHOT_EXTRA.vmStateBytes.at, SNAPSHOT_EXTRA.diskSizeBytes.at);
  return { ...entry, vmStateBytes32: 0, extraData };
}

/**
 * The entry as a rewritten table of this version must hold it. Version 3 requires the 64-bit VM
 * state size and the disk size; an entry that lacks them gets the values that their absence means.
 * Everything else stays byte for byte. Spec: Snapshots, "Version 3 images must include".
 */
export function conformingEntry(snapshot: Snapshot, version: 2 | 3): SnapshotEntry {
  if (version === 2 || snapshot.extraData.length >= SNAPSHOT_EXTRA_BYTES_V3) return snapshot;
  const extraData = new Uint8Array(SNAPSHOT_EXTRA_BYTES);
  encodeStruct(
    SNAPSHOT_EXTRA,
    {
      vmStateBytes: BigInt(snapshot.vmStateBytes),
      diskSizeBytes: BigInt(snapshot.diskSizeBytes),
      icount: ICOUNT_DISABLED,
    },
    extraData,
  );
  return { ...snapshot, extraData };
}
