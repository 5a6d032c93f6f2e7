import { encodeStruct } from '../../base/struct.js';
import { utf8Bytes } from '../../base/text.js';
import { roundUp } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import {
  COMPRESSION_TYPE_AT,
  EXTENSION_TYPE,
  HEADER_V2,
  HEADER_V2_BYTES,
  HEADER_V3,
  HEADER_V3_BYTES,
  INCOMPATIBLE,
  MAGIC,
  COMPATIBLE,
} from '../../qcow2/spec.js';
import {
  conformingEntry,
  encodeSnapshotTable,
  extraDataOf,
  type SnapshotEntry,
} from '../../qcow2/snapshot-table.js';
import type { Header } from '../../qcow2/header.js';
import { isMisread } from '../../qcow2/snapshot-table-lenient.js';
import type { HeaderExtension } from '../../qcow2/extensions.js';
import type { CopyLayout } from './layout.js';
import type { RescuedDisk } from './rescue-plan.js';

/** A header of version 3 with the compression type, as QEMU writes it. Spec: Additional fields. */
const HEADER_BYTES = 112;

/** What all of an image's own extensions had room behind has room for them again. */
function headerBytesOf(version: 2 | 3, header: Header): number {
  if (version === 2) return HEADER_V2_BYTES;
  const isShort = header.version === 3 && header.headerBytes === HEADER_V3_BYTES;
  return isShort && header.compressionType !== 'zstd' ? HEADER_V3_BYTES : HEADER_BYTES;
}

/** The first cluster of the copy. */
export function encodeCopyHeader(layout: CopyLayout): Uint8Array {
  const { plan, version, geometry, disks, l1s, snapshotTable, refcountTable } = layout;
  const { header, backingNameBytes, extensions } = plan.evidence.head;
  const bytes = new Uint8Array(geometry.clusterBytes);
  const active = disks.findIndex(({ kind }) => kind === 'active');
  const headerBytes = headerBytesOf(version, header);
  const end = putExtensions(bytes, headerBytes, extensions, backingNameBytes?.length ?? 0);
  if (backingNameBytes !== undefined) bytes.set(backingNameBytes, end);
  encodeStruct(
    HEADER_V2,
    {
      magic: MAGIC,
      version,
      backingNameAt: BigInt(backingNameBytes === undefined ? 0 : end),
      backingNameBytes: backingNameBytes?.length ?? 0,
      clusterBits: geometry.clusterBits,
      sizeBytes: BigInt(disks[active]?.diskSizeBytes ?? 0),
      cryptMethod: { none: 0, aes: 1, luks: 2 }[header.encryption],
      l1Entries: (l1s[active]?.bytes ?? 0) / 8,
      l1At: BigInt(l1s[active]?.at ?? 0),
      refcountTableAt: BigInt(refcountTable.at),
      refcountTableClusters: refcountTable.bytes / geometry.clusterBytes,
      snapshotCount: snapshotDisks(layout).length,
      snapshotTableAt: BigInt(snapshotTable.at),
    },
    bytes,
  );
  if (version === 2) return bytes;
  const isZstd = header.compressionType === 'zstd';
  const extended = header.extendedL2 ? 1n << BigInt(INCOMPATIBLE['extended L2 entries']) : 0n;
  const zstd = isZstd ? 1n << BigInt(INCOMPATIBLE['compression type']) : 0n;
  const lazy = header.lazyRefcounts ? 1n << BigInt(COMPATIBLE['lazy refcounts']) : 0n;
  const refcountOrder = Math.log2(geometry.refcountBits);
  const words = { incompatible: extended | zstd, compatible: lazy, autoclear: 0n };
  encodeStruct(HEADER_V3, { ...words, refcountOrder, headerBytes }, bytes);
  if (isZstd) bytes[COMPRESSION_TYPE_AT] = 1;
  return bytes;
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

/** Writes the extensions behind the header. Returns where the end marker ends. */
function putExtensions(
  bytes: Uint8Array,
  from: number,
  extensions: readonly HeaderExtension[],
  spareBytes: number,
): number {
  const view = new DataView(bytes.buffer);
  let at = from;
  for (const extension of extensions) {
    const type = typeOf(extension);
    const length = 8 + roundUp(extension.bytes.length, 8);
    const fits = at + length + 8 + spareBytes <= bytes.length;
    // Names of features are for people: a small cluster may have no room for them.
    if (!fits && extension.kind === 'feature-names') continue;
    if (!fits) throw noRoomInHeader();
    view.setUint32(at, type);
    view.setUint32(at + 4, extension.bytes.length);
    bytes.set(extension.bytes, at + 8);
    at += length;
  }
  return at + 8;
}

function typeOf(extension: HeaderExtension): number {
  switch (extension.kind) {
    case 'backing-format':
      return EXTENSION_TYPE.backingFormat;
    case 'feature-names':
      return EXTENSION_TYPE.featureNames;
    case 'encryption-header':
      return EXTENSION_TYPE.encryptionHeader;
    case 'bitmaps':
      return EXTENSION_TYPE.bitmaps;
    case 'data-file-name':
      return EXTENSION_TYPE.dataFileName;
    case 'unknown':
      return extension.type;
  }
}

function noRoomInHeader(): QsnapError {
  return new QsnapError('LIMIT_EXCEEDED', 'the header of the copy does not fit into a cluster', {
    structure: 'header',
  });
}
