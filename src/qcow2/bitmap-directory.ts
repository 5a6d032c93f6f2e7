import { decodeStruct } from '../base/struct.js';
import { utf8Text } from '../base/text.js';
import { isAligned, roundUp } from '../base/units.js';
import { exactNumber, hex } from '../base/words.js';
import { QsnapError } from '../errors.js';
import type { BitmapsExtension } from './extensions.js';
import { LIMITS } from './limits.js';
import { BITMAP_ENTRY, BITMAP_ENTRY_BYTES } from './spec.js';

/** A persistent bitmap as its directory entry describes it. Spec: Bitmap directory. */
export interface PersistentBitmap {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  /** Guest bytes that one bit stands for. */
  readonly granularityBytes: number;
  /** Was not saved correctly and may be inconsistent. */
  readonly inUse: boolean;
  /** Tracks all changes of the disk ("enabled"). */
  readonly auto: boolean;
  /** Why the entry can't be used, in words that complete "the bitmap …"; undefined: it can. */
  readonly problem: string | undefined;
  readonly table: { readonly at: number; readonly entries: number };
}

/**
 * Parses the bitmap directory.
 *
 * @param bytes the whole directory.
 * @throws QsnapError BITMAPS_INVALID with the offset of the entry.
 * Spec: Bitmap directory.
 */
export function parseBitmapDirectory(
  bytes: Uint8Array,
  extension: BitmapsExtension,
  clusterBytes: number,
): readonly PersistentBitmap[] {
  const bitmaps: PersistentBitmap[] = [];
  let at = 0;
  for (let index = 0; index < extension.bitmapCount; index++) {
    const left = bytes.length - at;
    const length = left < BITMAP_ENTRY_BYTES ? undefined : entryLength(bytes, at);
    if (length === undefined || length > left) {
      throw invalid(`bitmap directory entry ${index} is cut off`, extension.directoryAt + at);
    }
    bitmaps.push(decodeEntry(bytes, at, extension.directoryAt + at, index, clusterBytes));
    at += roundUp(length, 8);
  }
  if (at < bytes.length) {
    const more = `goes on after the ${extension.bitmapCount} entries that the header claims`;
    throw invalid(`the bitmap directory ${more}`, extension.directoryAt + at);
  }
  return bitmaps;
}

function entryLength(bytes: Uint8Array, at: number): number {
  const raw = decodeStruct(BITMAP_ENTRY, bytes, at);
  return BITMAP_ENTRY_BYTES + raw.extraDataBytes + raw.nameBytes;
}

function decodeEntry(
  bytes: Uint8Array,
  at: number,
  fileAt: number,
  index: number,
  clusterBytes: number,
): PersistentBitmap {
  const raw = decodeStruct(BITMAP_ENTRY, bytes, at);
  const tableAt = exactNumber(raw.tableAt, 'a bitmap table offset');
  const { bitmapTableEntriesMax, bitmapNameBytesMax } = LIMITS;
  if (raw.tableEntries > bitmapTableEntriesMax.value || !isAligned(tableAt, clusterBytes)) {
    throw invalid(
      `the table of bitmap directory entry ${index} (${raw.tableEntries} entries at ` +
        `${hex(tableAt)}) can't be there`,
      fileAt,
    );
  }
  if (raw.nameBytes === 0 || raw.nameBytes > bitmapNameBytesMax.value) {
    throw invalid(`the name of bitmap directory entry ${index} has ${raw.nameBytes} bytes`, fileAt);
  }
  const nameAt = at + BITMAP_ENTRY_BYTES + raw.extraDataBytes;
  const nameBytes = bytes.slice(nameAt, nameAt + raw.nameBytes);
  return {
    name: utf8Text(nameBytes),
    nameBytes,
    granularityBytes: 2 ** raw.granularityBits,
    inUse: (raw.flags & 1) !== 0,
    auto: (raw.flags & 2) !== 0,
    problem: problemOf(raw),
    table: { at: tableAt, entries: raw.tableEntries },
  };
}

/** QEMU: block/qcow2-bitmap.c, check_dir_entry. Whether it covers the disk is for others to judge. */
function problemOf(raw: {
  readonly tableAt: bigint;
  readonly tableEntries: number;
  readonly flags: number;
  readonly type: number;
  readonly granularityBits: number;
}): string | undefined {
  if (raw.tableEntries === 0 || raw.tableAt === 0n) return 'has no table';
  if (raw.type !== 1) return `is of unknown type ${raw.type}`;
  if ((raw.flags & ~3) !== 0) return `has unknown flags ${hex(raw.flags >>> 0)}`;
  const { granularityBits: bits } = raw;
  return bits < 9 || bits > 31 ? `has granularity bits ${bits}` : undefined;
}

function invalid(message: string, at: number): QsnapError {
  return new QsnapError('BITMAPS_INVALID', message, { structure: 'bitmap directory', at });
}
