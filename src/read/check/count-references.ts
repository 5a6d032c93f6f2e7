import type { OpenImage } from '../../image/image.js';
import { metadataRegions, type Region } from '../../refs/regions.js';
import { offsetOf, type TableFormat } from '../../l1l2/entry.js';
import { scanOf, type Scan } from '../../l1l2/scan.js';
import { diskTallyOf, type DiskTally } from '../../refs/disk-tally.js';
import { disksOf, walkL1Tables, walkReferences } from '../../refs/walk.js';
import type { FindingCollector, Found } from './collector.js';
import { CutOff } from './cut-off.js';
import { factsOf } from './judge-entry.js';
import { BitmapCounter } from './bitmap-counter.js';
import { ReferenceCounter } from './reference-counter.js';
import { TableNotes } from './table-notes.js';

/** What the L2 tables told. */
type NotedTables = Pick<
  TableNotes,
  'layout' | 'hasCopied' | 'odd' | 'marks' | 'marked' | 'taken' | 'repeated'
>;

/** All that the one walk over an image's tables gives. */
export interface References extends NotedTables {
  readonly counter: ReferenceCounter;
  readonly scan: Scan;
  readonly tally: DiskTally;
  readonly activeL1: Uint32Array;
  readonly bitmapFailure: BitmapCounter['failure'];
  /** Metadata but refcount blocks and L2 tables, as far as it was counted. */
  readonly regions: readonly Region[];
  readonly cutOff: CutOff;
}

/**
 * Counts every reference of an image but those to refcount blocks, and judges every entry on the
 * way. Each L2 table is read once, weighted by how many L1 entries point at it.
 *
 * QEMU: block/qcow2-refcount.c, calculate_refcounts.
 */
export async function countReferences(
  image: OpenImage,
  format: TableFormat,
  collector: FindingCollector,
  onProgress: (done: number) => void,
): Promise<References> {
  const { clusterBytes } = image.geometry;
  // The cluster that the file ends in is not there as a whole: who names it needs a closer look.
  const wholeClusters = Math.floor(image.fileSizeBytes / clusterBytes);
  const scan = { ...scanOf(format), fileClusters: wholeClusters };
  const cutOff = new CutOff(image);
  const counter = new ReferenceCounter(format, image.fileSizeBytes, collector, cutOff);
  const regions = metadataRegions(image, new Float64Array(0));
  for (const { owner, at, bytes } of regions) {
    counter.count(at, bytes, 1, 'METADATA_PAST_END', () => ({ structure: owner, at }));
  }
  const { tally, activeL1 } = await countL2Tables(image, counter, collector);
  const tables = new TableNotes(image, format, scan, tally, { counter, collector });
  const bitmaps = new BitmapCounter(image, counter, collector);
  // While the active disk alone is counted, a cluster that is counted already is at two places of it.
  const order = activeFirst(tally);
  await walkReferences(
    image,
    { offsets: tally.offsets, order },
    {
      l2Table: (index, words, before) => {
        tables.add(index, words);
        if ((before & 0x3ff) === 0) onProgress(before / tally.offsets.length);
      },
      bitmapEntry: (high, low, at, bitmap) => {
        bitmaps.count(high, low, at, bitmap);
      },
    },
  );
  const { layout, hasCopied, odd, marks, marked, taken, repeated } = tables;
  const noted = { layout, hasCopied, odd, marks, marked, taken, repeated };
  const bitmapFailure = bitmaps.failure;
  return { counter, scan, tally, activeL1, bitmapFailure, regions, cutOff, ...noted };
}

/** Indexes of L2 tables, those of the active disk first; undefined where they are in that order. */
function activeFirst({ offsets, active }: DiskTally): Int32Array | undefined {
  const order = new Int32Array(offsets.length);
  let count = 0;
  let isSorted = true;
  for (let i = 0; i < order.length; i++) {
    if (active[i] === 0) continue;
    isSorted &&= count === i;
    order[count++] = i;
  }
  if (isSorted) return undefined;
  for (let i = 0; i < order.length; i++) if (active[i] === 0) order[count++] = i;
  return order;
}

/** Counts L2 tables, pointer by pointer, and collects who points at which. */
async function countL2Tables(
  image: OpenImage,
  counter: ReferenceCounter,
  collector: FindingCollector,
): Promise<Pick<References, 'tally' | 'activeL1'>> {
  const { clusterBytes } = image.geometry;
  let activeL1: Uint32Array = new Uint32Array(0);
  const pointers = await walkL1Tables(
    image,
    disksOf(image),
    ({ number, l1, snapshot }, words, to) => {
      const isActive = snapshot === undefined;
      if (isActive) activeL1 = words;
      const structure = isActive ? 'active-l1' : 'inactive-l1';
      for (let i = 0; i < words.length; i += 2) {
        const high = words[i]!;
        const low = words[i + 1]!;
        if ((high | low) === 0) continue;
        const offset = offsetOf(high, low);
        const at = l1.at + i * 4;
        const where = (): Found => ({ structure, at, facts: factsOf(high, low) });
        if ((high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0) {
          collector.add('L1_ENTRY_RESERVED_BITS', where());
        }
        if (offset === 0) collector.add('COPIED_WITHOUT_CLUSTER', where());
        // QEMU takes the header for a table where an entry has flags and no offset.
        counter.count(offset, clusterBytes, 1, 'L1_ENTRY_PAST_END', where);
        if (offset % clusterBytes !== 0) collector.add('L1_ENTRY_MISALIGNED', where());
        to.add(number, offset);
      }
    },
  );
  return { tally: diskTallyOf(pointers), activeL1 };
}
