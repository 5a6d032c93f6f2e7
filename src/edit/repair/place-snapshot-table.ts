import { hasSameBytes } from '../../base/bytes.js';
import type { Ledger } from '../plan/ledger.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import type { L1Ref } from '../../qcow2/header.js';
import {
  conformingEntry,
  encodeSnapshotTable,
  type Snapshot,
  type SnapshotEntry,
} from '../../qcow2/snapshot-table.js';
import { SNAPSHOT_ENTRY, SNAPSHOT_ENTRY_BYTES, SNAPSHOT_EXTRA_BYTES_V3 } from '../../qcow2/spec.js';
import { roundUp } from '../../base/units.js';
import { choseClass, choseFinding, type RepairChoice } from './choice.js';
import type { MendedTree } from './tree.js';
import type { Moves } from './moves.js';

/** Where the snapshot table is after a repair. */
export interface PlacedSnapshotTable {
  readonly at: number;
  readonly count: number;
}

/**
 * Places a new snapshot table where an entry changes or the old one can't stay. L1 references that
 * make no sense are kept as they are stored, but where the L1 table is given up: a repair invents nothing.
 */
export function placeSnapshotTable(
  { image, table }: CheckedImage,
  tree: MendedTree,
  moves: Moves,
  l1s: ReadonlyMap<number, L1Ref>,
  choice: RepairChoice,
  ledger: Ledger,
): PlacedSnapshotTable {
  const old = image.header.snapshotTable;
  const entries = tree.kept.map((snapshot): SnapshotEntry => {
    const l1 = l1s.get(snapshot.index) ?? snapshot.l1;
    return { ...completed(snapshot, image.header.version, choice), l1 };
  });
  const isSame =
    table.stop === undefined &&
    tree.kept.length === image.snapshots.length &&
    hasSameBytes(encodeSnapshotTable(entries), encodeSnapshotTable(image.snapshots));
  if (isSame && !moves.snapshotTable) return old;
  if (!moves.snapshotTable) ledger.release(old.at, image.snapshotTableBytes);
  if (entries.length === 0) return { at: 0, count: 0 };

  const bytes = encodeSnapshotTable(entries);
  const odd = table.faults.filter(({ index, field }) => field.startsWith('l1-') && !l1s.has(index));
  restoreOddReferences(bytes, tree.kept, entries, odd);
  return { at: ledger.placeBytes('snapshot table', bytes), count: entries.length };
}

/** Whether the sizes that version 3 requires are to be added. */
function completed(snapshot: Snapshot, version: 2 | 3, choice: RepairChoice): SnapshotEntry {
  if (snapshot.extraData.length >= SNAPSHOT_EXTRA_BYTES_V3) return snapshot;
  const chosen =
    choseClass(choice, 'all') || choseFinding(choice, ['SNAPSHOT_EXTRA_MISSING'], snapshot.at);
  return chosen ? conformingEntry(snapshot, version) : snapshot;
}

function restoreOddReferences(
  bytes: Uint8Array,
  kept: readonly Snapshot[],
  entries: readonly SnapshotEntry[],
  odd: CheckedImage['table']['faults'],
): void {
  const view = new DataView(bytes.buffer);
  let at = 0;
  entries.forEach(({ extraData, idBytes, nameBytes }, i) => {
    const fault = odd.find(({ index }) => index === kept[i]!.index);
    if (fault !== undefined) {
      view.setBigUint64(at + SNAPSHOT_ENTRY.l1At.at, fault.l1At);
      view.setUint32(at + SNAPSHOT_ENTRY.l1Entries.at, fault.l1Entries);
    }
    const length = SNAPSHOT_ENTRY_BYTES + extraData.length + idBytes.length + nameBytes.length;
    at += roundUp(length, 8);
  });
}
