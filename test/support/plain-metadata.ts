/** Which bytes of a sound image are metadata, by plain code that shares none with the engine. */
import {
  layoutOf,
  OFFSET_MASK,
  snapshotsOf,
  u16,
  u32,
  u64,
  type PlainLayout,
} from './image-builder-layout.js';

const BITMAPS = 0x23852875;

/** 1 for each byte of metadata. The LUKS header is none. */
export function metadataMask(bytes: Uint8Array): Uint8Array {
  const mask = new Uint8Array(bytes.length);
  const layout = layoutOf(bytes);
  const { clusterBytes } = layout;
  const add = (at: number, length: number): void => {
    mask.fill(1, at, at + length);
  };
  const pointers = (at: number, entries: number): number[] =>
    Array.from({ length: entries }, (_, i) => Number(u64(bytes, at + i * 8) & OFFSET_MASK)).filter(
      (offset) => offset !== 0,
    );
  addHeader(bytes, layout, add);
  const tableBytes = layout.refcountTableClusters * clusterBytes;
  add(layout.refcountTableAt, tableBytes);
  for (const at of pointers(layout.refcountTableAt, tableBytes / 8)) add(at, clusterBytes);
  const { snapshots, tableBytes: snapshotBytes } = snapshotsOf(bytes);
  add(layout.snapshotTableAt, snapshotBytes);
  for (const { l1At, l1Entries } of [layout, ...snapshots]) {
    add(l1At, l1Entries * 8);
    for (const at of pointers(l1At, l1Entries)) add(at, clusterBytes);
  }
  if (layout.bitmapsValid) addBitmaps(bytes, layout, add, pointers);
  return mask;
}

type Add = (at: number, length: number) => void;

function addHeader(bytes: Uint8Array, layout: PlainLayout, add: Add): void {
  const headerBytes = layout.version === 2 ? 72 : u32(bytes, 100);
  add(0, headerBytes);
  for (const extension of layout.extensions) add(extension.at - 8, extension.bytes + 8);
  add(Number(u64(bytes, 8)), u32(bytes, 16));
  const last = layout.extensions.at(-1);
  // The end marker, which is zeros.
  add(last === undefined ? headerBytes : last.at + Math.ceil(last.bytes / 8) * 8, 8);
}

function addBitmaps(
  bytes: Uint8Array,
  layout: PlainLayout,
  add: Add,
  pointers: (at: number, entries: number) => number[],
): void {
  const { clusterBytes, diskSizeBytes } = layout;
  for (const extension of layout.extensions.filter(({ type }) => type === BITMAPS)) {
    const count = u32(bytes, extension.at);
    const directoryBytes = Number(u64(bytes, extension.at + 8));
    const directoryAt = Number(u64(bytes, extension.at + 16));
    add(directoryAt, directoryBytes);
    for (let i = 0, at = directoryAt; i < count; i++) {
      const [tableAt, entries] = [Number(u64(bytes, at)), u32(bytes, at + 8)];
      add(tableAt, entries * 8);
      const bitmapBytes = Math.ceil(Math.ceil(diskSizeBytes / 2 ** bytes[at + 17]!) / 8);
      for (let part = 0; part < entries; part++) {
        const [offset] = pointers(tableAt + part * 8, 1);
        const left = bitmapBytes - part * clusterBytes;
        if (offset !== undefined) add(offset, Math.min(left, clusterBytes));
      }
      at += Math.ceil((24 + u32(bytes, at + 20) + u16(bytes, at + 18)) / 8) * 8;
    }
  }
}
