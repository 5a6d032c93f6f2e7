import { LIMITS } from '../../qcow2/limits.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { oneBitNeighbours } from '../../image/one-bit.js';
import { isPlace, type Evidence } from './evidence.js';
import { readEntries } from '../../read/scan/read-entries.js';

/** Snapshots by what names them, each L1 table once. */
export interface FoundSnapshots {
  /** By the table that the header leads to, as many as it counts. */
  readonly named: readonly Snapshot[];
  /** How many the header counts; undefined without a header. */
  readonly claimed: number | undefined;
  /** Where the table lies that the header leads to; of no bytes where there is none. */
  readonly region: { readonly at: number; readonly bytes: number };
  /** By other tables, older ones mostly, and behind the end of the named one. */
  readonly others: readonly Snapshot[];
}

/** Finds all that is left of snapshot tables. */
export async function findSnapshots(evidence: Evidence): Promise<FoundSnapshots> {
  const { head, swept } = evidence;
  const pointers = evidence.rebuilt.includes('snapshots') ? undefined : head.pointers;
  const claimed = pointers?.snapshotCount;
  const stored = pointers?.snapshotTableAt ?? 0;
  const starts = new Set(swept.snapshotTables);
  const at = tableAt(stored, claimed, starts, evidence);
  const named: Snapshot[] = [];
  const others: Snapshot[] = [];
  const known = new Set<string>();
  const add = (to: Snapshot[], snapshot: Snapshot): void => {
    const key = keyOf(snapshot);
    if (known.has(key) || known.size >= LIMITS.snapshotsMax.value) return;
    known.add(key);
    to.push(snapshot);
  };
  const { source, fileSizeBytes, format } = evidence;
  const { clusterBytes } = format.geometry;
  const diskSizeBytes = head.diskSizeBytes ?? 0;
  const read = (place: number, isNamed: boolean) =>
    readEntries(source, { at: place, clusterBytes, fileSizeBytes, diskSizeBytes, isNamed });
  let end = 0;
  if (at !== undefined) {
    const table = await read(at, starts.has(stored) || at === stored);
    table.snapshots.forEach((snapshot, i) => {
      // A count of 65,536 and more is no count.
      add(i < Math.min(claimed ?? 0, LIMITS.snapshotsMax.value) ? named : others, snapshot);
    });
    end = at + table.bytes;
  }
  for (const start of swept.snapshotTables) {
    const isRead = at !== undefined && start >= at && start < end;
    if (isRead) continue;
    const table = await read(start, false);
    for (const snapshot of table.snapshots) add(others, snapshot);
  }
  const region = { at: at ?? 0, bytes: Math.max(0, end - (at ?? 0)) };
  return { named, claimed, region, others };
}

/** The place of the header's snapshot table: as stored, or with one bit flipped back. */
function tableAt(
  stored: number,
  claimed: number | undefined,
  starts: ReadonlySet<number>,
  evidence: Evidence,
): number | undefined {
  if (claimed === undefined || claimed === 0) return undefined;
  if (starts.has(stored)) return stored;
  const { clusterBytes } = evidence.format.geometry;
  const near = oneBitNeighbours(stored, clusterBytes, evidence.fileSizeBytes).find((place) =>
    starts.has(place),
  );
  if (near !== undefined) return near;
  // The first entry may be the damaged one.
  return isPlace(stored, evidence) ? stored : undefined;
}

function keyOf({ l1, idBytes, nameBytes }: Snapshot): string {
  return `${l1.at} ${l1.entries} ${String(idBytes)} ${String(nameBytes)}`;
}
