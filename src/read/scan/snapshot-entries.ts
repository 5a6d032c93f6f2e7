import { decodeStruct } from '../../base/struct.js';
import { isValidUtf8 } from '../../base/text.js';
import { roundUp } from '../../base/units.js';
import { LIMITS } from '../../qcow2/limits.js';
import {
  decodeSnapshotEntry,
  type Snapshot,
  type SnapshotTableContext,
} from '../../qcow2/snapshot-table.js';
import { SNAPSHOT_ENTRY, SNAPSHOT_ENTRY_BYTES } from '../../qcow2/spec.js';

/** Entries begin at multiples of this. Spec: Snapshots. */
const ENTRY_ALIGNMENT = 8;
/** Seconds of a date have 32 bits; nanoseconds stay below a second. */
const NANOSECONDS = 1e9;

/** What entries are read by; `at` is where `bytes` begin in the file. */
export interface EntryContext extends Omit<SnapshotTableContext, 'count'> {
  /** Whether the header names this table. Then an entry may be one although its L1 table can't be right. */
  readonly isNamed: boolean;
}

/** Entries that were found. */
export interface FoundEntries {
  readonly snapshots: readonly Snapshot[];
  /** Where the last one ends, from the start of the bytes. */
  readonly end: number;
  /** Whether more bytes may hold more entries. */
  readonly goesOn: boolean;
}

/**
 * Finds all entries of a snapshot table. Behind a damaged entry it goes on at the next place that looks like the start
 * of one. The table ends with the cluster in which its last entry ends.
 *
 * @param bytes from the start of the table on.
 */
export function findEntries(bytes: Uint8Array, context: EntryContext): FoundEntries {
  const { clusterBytes } = context;
  const snapshots: Snapshot[] = [];
  let end = 0;
  // An entry may begin where a cluster ends with the one before.
  for (let at = 0; at < roundUp(Math.max(end, 1), clusterBytes) || at === end;) {
    if (at + SNAPSHOT_ENTRY_BYTES > bytes.length) return { snapshots, end, goesOn: true };
    const length = entryLength(bytes, at, context);
    if (length === Infinity) return { snapshots, end, goesOn: true };
    if (length === undefined) at += ENTRY_ALIGNMENT;
    else {
      snapshots.push(decoded(bytes, at, context, snapshots.length));
      at += roundUp(length, ENTRY_ALIGNMENT);
      end = at;
    }
  }
  return { snapshots, end, goesOn: false };
}

/**
 * The length of the entry at `at`, without padding. An entry names an L1 table, has an id and a name that can be
 * printed, and a date.
 *
 * @param bytes at least 40 from `at` on.
 * @returns undefined if this can't be an entry; `Infinity` if it may be one, but ends behind the bytes.
 */
export function entryLength(
  bytes: Uint8Array,
  at: number,
  { clusterBytes, fileSizeBytes, isNamed }: EntryContext,
): number | undefined {
  // The first byte of an offset, which may have a flipped bit. Most clusters end here.
  if (bytes[at] !== 0 && !isNamed) return undefined;
  const raw = decodeStruct(SNAPSHOT_ENTRY, bytes, at);
  const l1At = Number(raw.l1At);
  const isPlaced = l1At >= clusterBytes && l1At % clusterBytes === 0 && l1At < fileSizeBytes;
  const isLong = raw.l1Entries > 0 && raw.l1Entries <= LIMITS.l1BytesMax.value / 8;
  const leads = isPlaced && isLong;
  if (!isNamed && !leads) return undefined;
  if (raw.idBytes === 0 || raw.idBytes > LIMITS.snapshotIdBytesMax.value) return undefined;
  if (raw.extraDataBytes > LIMITS.snapshotExtraBytesMax.value) return undefined;
  if (raw.dateNanoseconds >= NANOSECONDS) return undefined;
  const idAt = at + SNAPSHOT_ENTRY_BYTES + raw.extraDataBytes;
  const nameAt = idAt + raw.idBytes;
  const end = nameAt + raw.nameBytes;
  if (end > bytes.length) return Infinity;
  // Names may be any bytes: where the table is known, one of the two signs is enough.
  if (isNamed && leads) return end - at;
  if (!isText(bytes.subarray(idAt, nameAt))) return undefined;
  return isText(withoutCut(bytes.subarray(nameAt, end))) ? end - at : undefined;
}

function decoded(bytes: Uint8Array, at: number, context: EntryContext, index: number): Snapshot {
  const snapshot = decodeSnapshotEntry(bytes, at, { ...context, count: index + 1 }, index, {
    l1: (l1At, entries) => ({ at: Number(l1At), entries }),
    size: (value) => (value < 2n ** 53n ? Number(value) : 0),
  });
  const nameBytes = withoutCut(snapshot.nameBytes);
  if (nameBytes.length === snapshot.nameBytes.length) return snapshot;
  return { ...snapshot, nameBytes, name: new TextDecoder().decode(nameBytes) };
}

/** A name whose end lay past the end of the file ends in zeros. */
function withoutCut(name: Uint8Array): Uint8Array {
  let end = name.length;
  while (end > 0 && name[end - 1] === 0) end -= 1;
  return name.subarray(0, end);
}

function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 && byte !== 0x7f) && isValidUtf8(bytes);
}
