/** Where everything lies in a sound image: what damage can be aimed at. */
import { PlainImage, type PlainDisk } from './plain-image.js';
import { blockEntries, snapshotsOf } from '../support/image-builder-layout.js';
import type { SoundImage } from './images.js';

export type StructureKind =
  | 'header'
  | 'refcount table'
  | 'refcount block'
  | 'snapshot table'
  | 'active L1'
  | 'snapshot L1'
  | 'active L2'
  | 'snapshot L2'
  | 'data';

export interface Structure {
  readonly kind: StructureKind;
  /** Byte offset and length in the file. */
  readonly at: number;
  readonly bytes: number;
}

export type PointerKind =
  | 'L1 offset in the header'
  | 'snapshot table offset in the header'
  | 'refcount table offset in the header'
  | 'refcount table entry'
  | 'refcount'
  | 'L1 offset of a snapshot'
  | 'active L1 entry'
  | 'snapshot L1 entry'
  | 'active L2 entry'
  | 'snapshot L2 entry';

/** A number that leads somewhere, or counts who does. */
export interface Pointer {
  readonly kind: PointerKind;
  readonly at: number;
  readonly bytes: number;
}

export interface Anatomy {
  readonly image: SoundImage;
  readonly plain: PlainImage;
  readonly structures: readonly Structure[];
  readonly pointers: readonly Pointer[];
  /** Host clusters that disks and the snapshot table lead to: what a repair may not lose. */
  readonly treasure: readonly number[];
}

export function anatomyOf(image: SoundImage): Anatomy {
  const plain = PlainImage.of(image.bytes)!;
  const structures = [...metadataOf(plain), ...tablesOf(plain)];
  const l2s = structures.filter(({ kind }) => kind.endsWith('L2'));
  return {
    image,
    plain,
    structures: [...structures, ...dataOf(plain)],
    pointers: [...headerPointers(plain), ...tablePointers(plain), ...l2Pointers(plain, l2s)],
    treasure: [...plain.references.keys()],
  };
}

function metadataOf({ bytes, layout, clusterBytes }: PlainImage): Structure[] {
  const { refcountTableAt, refcountTableClusters, snapshotTableAt } = layout;
  const tableBytes = refcountTableClusters * clusterBytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const found: Structure[] = [
    { kind: 'header', at: 0, bytes: clusterBytes },
    { kind: 'refcount table', at: refcountTableAt, bytes: tableBytes },
    { kind: 'snapshot table', at: snapshotTableAt, bytes: snapshotsOf(bytes).tableBytes },
  ];
  for (let at = refcountTableAt; at < refcountTableAt + tableBytes; at += 8) {
    const block = Number(view.getBigUint64(at));
    if (block !== 0) found.push({ kind: 'refcount block', at: block, bytes: clusterBytes });
  }
  return found;
}

/** Each table once; an L2 table that the active disk has too is the active disk's. */
function tablesOf({ disks, clusterBytes }: PlainImage): Structure[] {
  const l2s = new Map<number, Structure>();
  const l1s = disks.map((disk): Structure => {
    const isActive = disk.position === 'active';
    for (const { at } of disk.tables.values()) {
      const kind = isActive ? 'active L2' : 'snapshot L2';
      if (!l2s.has(at)) l2s.set(at, { kind, at, bytes: clusterBytes });
    }
    return {
      kind: isActive ? 'active L1' : 'snapshot L1',
      at: disk.l1At,
      bytes: disk.l1Entries * 8,
    };
  });
  return [...l1s, ...l2s.values()];
}

function dataOf(plain: PlainImage): Structure[] {
  const { clusterBytes } = plain;
  const clusters = new Set(
    plain.disks.flatMap((disk) =>
      [...plain.mapped(disk)].flatMap((guest) => plain.hostClusters(plain.entry(disk, guest)!)),
    ),
  );
  return [...clusters].map((cluster) => ({
    kind: 'data',
    at: cluster * clusterBytes,
    bytes: clusterBytes,
  }));
}

function headerPointers({ bytes }: PlainImage): Pointer[] {
  return [
    { kind: 'L1 offset in the header', at: 40, bytes: 8 },
    { kind: 'refcount table offset in the header', at: 48, bytes: 8 },
    { kind: 'snapshot table offset in the header', at: 64, bytes: 8 },
    ...snapshotsOf(bytes).snapshots.map(({ at }): Pointer => ({
      kind: 'L1 offset of a snapshot',
      at,
      bytes: 8,
    })),
  ];
}

function tablePointers(plain: PlainImage): Pointer[] {
  const { layout, bytes, clusterBytes } = plain;
  const ofL1s = plain.disks.flatMap(({ position, l1At, tables }: PlainDisk) => {
    const kind = position === 'active' ? 'active L1 entry' : 'snapshot L1 entry';
    return [...tables.keys()].map((i): Pointer => ({ kind, at: l1At + i * 8, bytes: 8 }));
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const found: Pointer[] = [];
  const perBlock = blockEntries(layout);
  for (let i = 0; i < (layout.refcountTableClusters * clusterBytes) / 8; i++) {
    const at = layout.refcountTableAt + i * 8;
    const block = Number(view.getBigUint64(at));
    if (block === 0) continue;
    found.push({ kind: 'refcount table entry', at, bytes: 8 });
    for (let entry = 0; entry < perBlock; entry++) {
      if (plain.refcount(i * perBlock + entry) === 0) continue;
      found.push({ kind: 'refcount', at: block + entry * 2, bytes: 2 });
    }
  }
  return [...ofL1s, ...found];
}

function l2Pointers(plain: PlainImage, l2s: readonly Structure[]): Pointer[] {
  const active = new Set(l2s.filter(({ kind }) => kind === 'active L2').map(({ at }) => at));
  const found = new Map<number, Pointer>();
  for (const disk of plain.disks) {
    for (const { at, table } of disk.tables.values()) {
      const kind = active.has(at) ? 'active L2 entry' : 'snapshot L2 entry';
      const bytes = plain.layout.extendedL2 ? 16 : 8;
      for (const entry of table!.values()) found.set(entry.at, { kind, at: entry.at, bytes });
    }
  }
  return [...found.values()];
}
