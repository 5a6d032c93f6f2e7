import { printableText } from '../../base/text.js';
import type { Image } from '../../image/image.js';
import { judgeBitmap, judgeBitmapEntry, type BitmapFault } from '../../image/judge-bitmaps.js';
import { offsetOf } from '../../l1l2/entry.js';
import type { PersistentBitmap } from '../../qcow2/bitmap-directory.js';
import type { FindingCollector, Found } from './collector.js';
import { factsOf } from './judge-entry.js';
import type { ReferenceCounter } from './reference-counter.js';

/** Counts the clusters that hold the bits of persistent bitmaps. Spec: Bitmap table. */
export class BitmapCounter {
  /** Where QEMU fails to load one: when it opens the image, or when it checks it. */
  failure: 'open' | 'check' | undefined;
  readonly #clusterBytes: number;
  readonly #counter: ReferenceCounter;
  readonly #collector: FindingCollector;

  constructor(image: Image, counter: ReferenceCounter, collector: FindingCollector) {
    this.#clusterBytes = image.geometry.clusterBytes;
    this.#counter = counter;
    this.#collector = collector;
    for (const bitmap of image.bitmaps) {
      const fault = judgeBitmap(bitmap, image);
      if (fault === undefined) continue;
      addBitmapFault(bitmap, fault, collector);
      this.failure = 'open';
    }
  }

  count(high: number, low: number, at: number, { name, inUse }: PersistentBitmap): void {
    const offset = offsetOf(high, low);
    const where = (): Found => {
      const facts = { ...factsOf(high, low), name: printableText(name) };
      return { structure: 'bitmap-table', at, facts };
    };
    if (judgeBitmapEntry(high, low, this.#clusterBytes) !== undefined) {
      this.#collector.add('BITMAP_TABLE_ENTRY_INVALID', where());
      // One that was not saved properly is not loaded when the image is opened.
      if (!inUse) this.failure = 'open';
      this.failure ??= 'check';
    } else if (offset !== 0) {
      this.#counter.count(offset, this.#clusterBytes, 1, 'BITMAP_TABLE_ENTRY_INVALID', where);
    }
  }
}

function addBitmapFault(
  { name: named, table }: PersistentBitmap,
  fault: BitmapFault,
  collector: FindingCollector,
): void {
  const where = { structure: 'bitmap-directory', at: table.at } as const;
  const name = printableText(named);
  if (fault.kind === 'unreadable') {
    collector.add('BITMAP_UNREADABLE', { ...where, facts: { name, problem: fault.problem } });
  } else {
    const { entries, needed } = fault;
    collector.add('BITMAP_TABLE_TOO_LONG', { ...where, facts: { name, entries, needed } });
  }
}
