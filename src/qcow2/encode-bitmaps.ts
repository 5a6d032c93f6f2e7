import { decodeStruct, encodeStruct } from '../base/struct.js';
import { roundUp } from '../base/units.js';
import type { BitmapsExtension } from './extensions.js';
import {
  BITMAP_ENTRY,
  BITMAP_ENTRY_BYTES,
  BITMAPS_EXTENSION,
  BITMAPS_EXTENSION_BYTES,
} from './spec.js';

/** An entry of the bitmap directory as it is stored. Spec: Bitmap directory. */
export interface BitmapEntry {
  readonly table: { readonly at: number; readonly entries: number };
  readonly flags: number;
  readonly granularityBits: number;
  readonly nameBytes: Uint8Array;
  readonly extraData: Uint8Array;
}

export const BITMAP_FLAGS = { inUse: 1, auto: 2 } as const;
const DIRTY_TRACKING = 1;

/** How long an entry is in the directory. */
export function bitmapEntryBytes({
  nameBytes,
  extraData,
}: Pick<BitmapEntry, 'nameBytes' | 'extraData'>): number {
  return roundUp(BITMAP_ENTRY_BYTES + extraData.length + nameBytes.length, 8);
}

/** The entries of a directory that `parseBitmapDirectory` takes, as they are stored. */
export function storedBitmapEntries(directory: Uint8Array, count: number): readonly BitmapEntry[] {
  let at = 0;
  return Array.from({ length: count }, () => {
    const raw = decodeStruct(BITMAP_ENTRY, directory, at);
    const extraAt = at + BITMAP_ENTRY_BYTES;
    const nameAt = extraAt + raw.extraDataBytes;
    const entry = {
      table: { at: Number(raw.tableAt), entries: raw.tableEntries },
      flags: raw.flags,
      granularityBits: raw.granularityBits,
      extraData: directory.slice(extraAt, nameAt),
      nameBytes: directory.slice(nameAt, nameAt + raw.nameBytes),
    };
    at += bitmapEntryBytes(entry);
    return entry;
  });
}

export function encodeBitmapDirectory(entries: readonly BitmapEntry[]): Uint8Array {
  const lengths = entries.map(bitmapEntryBytes);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [i, { table, nameBytes, extraData, ...fields }] of entries.entries()) {
    const values = {
      tableAt: BigInt(table.at),
      tableEntries: table.entries,
      type: DIRTY_TRACKING,
      nameBytes: nameBytes.length,
      extraDataBytes: extraData.length,
      ...fields,
    };
    encodeStruct(BITMAP_ENTRY, values, bytes, at);
    bytes.set(extraData, at + BITMAP_ENTRY_BYTES);
    bytes.set(nameBytes, at + BITMAP_ENTRY_BYTES + extraData.length);
    at += lengths[i]!;
  }
  return bytes;
}

/** The data of the extension. Spec: Bitmaps extension. */
export function encodeBitmapsExtension(extension: BitmapsExtension): Uint8Array {
  const bytes = new Uint8Array(BITMAPS_EXTENSION_BYTES);
  const { bitmapCount, directoryAt, directoryBytes } = extension;
  const values = { bitmapCount, directoryAt: BigInt(directoryAt) };
  encodeStruct(BITMAPS_EXTENSION, { ...values, directoryBytes: BigInt(directoryBytes) }, bytes);
  return bytes;
}
