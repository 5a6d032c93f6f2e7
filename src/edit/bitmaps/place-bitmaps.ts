import { HIGH_WORD, bytesOfWords } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import { offsetOf } from '../../l1l2/entry.js';
import {
  BITMAP_FLAGS,
  encodeBitmapDirectory,
  type BitmapEntry,
} from '../../qcow2/encode-bitmaps.js';
import type { BitmapsExtension } from '../../qcow2/extensions.js';
import { visitBitmapEntries } from '../../refs/bitmap-tables.js';
import type { Ledger } from '../plan/ledger.js';
import type { BitmapContent } from './bitmap-content.js';
import type { NextBitmap } from './next-bitmap.js';

/**
 * Places a new directory, the tables and bits that are new, and releases what is no longer referred to.
 *
 * @returns what leads to them; undefined: no bitmap is left.
 */
export async function placeBitmaps(
  image: OpenImage,
  bitmaps: readonly NextBitmap[],
  ledger: Ledger,
): Promise<BitmapsExtension | undefined> {
  const entries = bitmaps.map((bitmap) => placeBitmap(bitmap, ledger));
  await releaseOld(image, bitmaps, ledger);
  if (entries.length === 0) return undefined;
  const bytes = encodeBitmapDirectory(entries);
  return {
    bitmapCount: entries.length,
    directoryAt: ledger.placeBytes('bitmap directory', bytes),
    directoryBytes: bytes.length,
  };
}

function placeBitmap(bitmap: NextBitmap, ledger: Ledger): BitmapEntry {
  const { nameBytes, extraData, granularityBits, inUse, auto, stored, content } = bitmap;
  const flags = (stored?.entry.flags ?? 0) & ~(BITMAP_FLAGS.inUse | BITMAP_FLAGS.auto);
  return {
    nameBytes,
    extraData,
    granularityBits,
    flags: flags | (inUse ? BITMAP_FLAGS.inUse : 0) | (auto ? BITMAP_FLAGS.auto : 0),
    table: content === undefined ? stored!.entry.table : placeContent(content, ledger),
  };
}

/** Spec: Bitmap table. */
function placeContent(content: BitmapContent, ledger: Ledger): BitmapEntry['table'] {
  const entries = content.tableEntries;
  const words = new Uint32Array(2 * entries);
  for (const [index, cluster] of content.clusters) {
    // Without an offset bit 0 says that all bits are set.
    const entry =
      cluster === 'ones'
        ? 1
        : typeof cluster === 'number'
          ? cluster
          : ledger.placeBytes('bitmap data', cluster);
    words[2 * index] = Math.floor(entry / HIGH_WORD);
    words[2 * index + 1] = entry % HIGH_WORD;
  }
  return { at: ledger.placeBytes('bitmap table', bytesOfWords(words)), entries };
}

/** The old directory, the tables of bitmaps that go or get new ones, and their bits but for those that stay. */
async function releaseOld(
  image: OpenImage,
  bitmaps: readonly NextBitmap[],
  ledger: Ledger,
): Promise<void> {
  const extension = image.extensions.find(({ kind }) => kind === 'bitmaps');
  if (extension?.kind !== 'bitmaps' || !image.header.bitmapsConsistent) return;
  const { directoryAt, directoryBytes } = extension.bitmaps;
  ledger.release(directoryAt, directoryBytes);
  const nextOf = new Map(bitmaps.map((bitmap) => [bitmap.stored?.bitmap, bitmap]));
  const gone = image.bitmaps.filter((bitmap) => {
    const next = nextOf.get(bitmap);
    return next === undefined || next.content !== undefined;
  });
  const kept = new Set(bitmaps.flatMap(({ content }) => [...(content?.clusters.values() ?? [])]));
  await visitBitmapEntries(image, gone, (high, low) => {
    const offset = offsetOf(high, low);
    if (offset === 0 || kept.has(offset)) return;
    ledger.changeMetadata(offset / image.geometry.clusterBytes, -1);
  });
  for (const { table } of gone) ledger.release(table.at, table.entries * 8);
}
