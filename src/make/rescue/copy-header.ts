import { utf8Bytes } from '../../base/text.js';
import {
  conformingEntry,
  encodeSnapshotTable,
  extraDataOf,
  type SnapshotEntry,
} from '../../qcow2/snapshot-table.js';
import { isMisread } from '../../qcow2/snapshot-table-lenient.js';
import { encodeCarriedHeader } from '../new/carried-header.js';
import type { CopyLayout } from './layout.js';
import type { RescuedDisk } from './rescue-plan.js';

/** The first cluster of the copy. */
export function encodeCopyHeader(layout: CopyLayout): Uint8Array {
  const { plan, version, geometry, disks, l1s, snapshotTable, refcountTable } = layout;
  const { header, backingNameBytes, extensions } = plan.evidence.head;
  const active = disks.findIndex(({ kind }) => kind === 'active');
  return encodeCarriedHeader({
    ...{ version, geometry, old: header, extensions, backingNameBytes },
    compressionType: header.compressionType,
    diskSizeBytes: disks[active]?.diskSizeBytes ?? 0,
    activeL1: { at: l1s[active]?.at ?? 0, entries: (l1s[active]?.bytes ?? 0) / 8 },
    snapshotTable: { at: snapshotTable.at, count: snapshotDisks(layout).length },
    refcountTable: {
      at: refcountTable.at,
      clusters: refcountTable.bytes / geometry.clusterBytes,
    },
  });
}

/** The disks that become snapshots of the copy, in their order. */
export function snapshotDisks({ disks }: Pick<CopyLayout, 'disks'>): readonly RescuedDisk[] {
  return disks.filter(({ kind }) => kind !== 'active');
}

/**
 * The entries of the copy's snapshot table: ids, names, dates and VM state as they were. What had lost
 * its entry gets a name that says so, a free id, and no date.
 */
export function snapshotEntries(
  disks: readonly RescuedDisk[],
  version: 2 | 3,
): readonly SnapshotEntry[] {
  const taken = new Set<string>();
  let next = 1;
  const freeId = (): string => {
    while (taken.has(String(next))) next += 1;
    return String(next);
  };
  const kept = snapshotDisks({ disks });
  for (const { root } of kept) if (root.snapshot !== undefined) taken.add(root.snapshot.id);
  const used = new Set<string>();
  return kept.map((disk): SnapshotEntry => {
    const { snapshot } = disk.root;
    // Bytes that are no text would make the table one that was misread.
    const isText = snapshot !== undefined && !isMisread(snapshot);
    const isFree = isText && !used.has(snapshot.id);
    const id = isFree ? snapshot.id : freeId();
    taken.add(id);
    used.add(id);
    if (snapshot === undefined) return unnamedEntry(disk, id);
    const { diskSizeBytes } = disk;
    const entry = conformingEntry({ ...snapshot, diskSizeBytes }, version);
    const named = isText ? entry : { ...entry, nameBytes: utf8Bytes(disk.id) };
    return isFree ? named : { ...named, idBytes: utf8Bytes(id) };
  });
}

function unnamedEntry({ id: name, diskSizeBytes }: RescuedDisk, id: string): SnapshotEntry {
  return {
    idBytes: utf8Bytes(id),
    nameBytes: utf8Bytes(name),
    date: { seconds: 0, nanoseconds: 0 },
    vmClockNanoseconds: 0n,
    vmStateBytes32: 0,
    extraData: extraDataOf(diskSizeBytes),
    l1: { at: 0, entries: 0 },
  };
}

/** The snapshot table of the copy. */
export function encodeCopySnapshots(layout: CopyLayout): Uint8Array {
  const { disks, l1s, version } = layout;
  const places = l1s.filter((_, i) => disks[i]!.kind !== 'active');
  const entries = snapshotEntries(disks, version).map((entry, i) => ({
    ...entry,
    l1: { at: places[i]!.at, entries: places[i]!.bytes / 8 },
  }));
  return encodeSnapshotTable(entries);
}
