import { decodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import {
  BITMAP_ENTRY,
  BITMAP_ENTRY_BYTES,
  SNAPSHOT_ENTRY_BYTES,
  SNAPSHOT_EXTRA_BYTES,
} from '../../qcow2/spec.js';
import type { Names } from './names.js';

/**
 * The snapshot table with the fields of all entries, and their names replaced. Of extra data the known fields stay.
 *
 * @param stored the table.
 * @param at where it begins in the file.
 * @param snapshots those that can be read of it.
 */
export function newSnapshotTable(
  stored: Uint8Array,
  at: number,
  snapshots: readonly Snapshot[],
  names: Names,
): Uint8Array {
  const made = new Uint8Array(stored.length);
  for (const snapshot of snapshots) {
    const { index, idBytes, nameBytes, extraData } = snapshot;
    const entryAt = snapshot.at - at;
    const extraAt = entryAt + SNAPSHOT_ENTRY_BYTES;
    made.set(stored.subarray(entryAt, extraAt), entryAt);
    const known = Math.min(extraData.length, SNAPSHOT_EXTRA_BYTES);
    made.set(extraData.subarray(0, known), extraAt);
    made.set(names.unknown(extraData.slice(known)), extraAt + known);
    const idAt = extraAt + extraData.length;
    made.set(names.snapshotId(idBytes, index), idAt);
    made.set(names.snapshot(nameBytes, index), idAt + idBytes.length);
  }
  return made;
}

/** The bitmap directory in the same way, up to the first entry that reaches past its end. */
export function newBitmapDirectory(stored: Uint8Array, names: Names): Uint8Array {
  const made = new Uint8Array(stored.length);
  for (let at = 0, index = 0; at + BITMAP_ENTRY_BYTES <= stored.length; index++) {
    const { extraDataBytes, nameBytes } = decodeStruct(BITMAP_ENTRY, stored, at);
    const extraAt = at + BITMAP_ENTRY_BYTES;
    const nameAt = extraAt + extraDataBytes;
    made.set(stored.subarray(at, extraAt), at);
    if (nameAt + nameBytes > stored.length) break;
    made.set(names.unknown(stored.slice(extraAt, nameAt)), extraAt);
    made.set(names.bitmap(stored.slice(nameAt, nameAt + nameBytes), index), nameAt);
    at = roundUp(nameAt + nameBytes, 8);
  }
  return made;
}
