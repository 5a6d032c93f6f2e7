import { printableText } from '../base/text.js';
import { swapWords } from '../base/words.js';
import type { Image } from '../image/image.js';
import { judgeBitmap, judgeBitmapEntry, type BitmapFault } from '../image/judge-bitmaps.js';
import { metadataRegions, type Region } from '../image/regions.js';
import { offsetOf, type TableFormat } from '../l1l2/entry.js';
import {
  addLayout,
  nextBadBitmap,
  NO_PROBLEM,
  scanOf,
  type Layout,
  type Scan,
  type Taken,
} from '../l1l2/scan.js';
import { FlagMarks } from '../l1l2/flag-marks.js';
import { visitRepeats, visitRepeatsOfRuns } from '../l1l2/repeats.js';
import type { Runs } from '../l1l2/runs.js';
import { tallyOf, type DiskTally } from '../refs/disk-tally.js';
import { TableCounter, type Flawed } from '../refs/table-counter.js';
import { disksOf, walkL1Tables, walkReferences } from '../refs/walk.js';
import type { PersistentBitmap } from '../qcow2/bitmap-directory.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import type { FindingCollector, Found } from './collector.js';
import { CutOff } from './cut-off.js';
import { factsOf, judgeEntry } from './judge-entry.js';
import { ReferenceCounter } from './reference-counter.js';

/** Clusters at two places that are kept: more make no difference to what is to be done. */
const TAKEN_MAX = 10_000;

/** All that the one walk over an image's tables gives. */
export interface References {
  readonly counter: ReferenceCounter;
  readonly scan: Scan;
  readonly tally: DiskTally;
  readonly activeL1: Uint32Array;
  readonly layout: Layout;
  /** By index in the tally: 1 where a table has an entry with the COPIED flag. */
  readonly hasCopied: Uint8Array;
  /** By index in the tally: 1 where an entry needed a closer look. */
  readonly odd: Uint8Array;
  /** The flags of active tables that were plain. */
  readonly marks: FlagMarks;
  /** By index in the tally: 1 for tables whose flags `marks` has. */
  readonly marked: Uint8Array;
  /** Where QEMU fails to load a bitmap: when it opens the image, or when it checks it. */
  readonly bitmapFailure: 'open' | 'check' | undefined;
  /** Metadata but refcount blocks and L2 tables, as far as it was counted. */
  readonly regions: readonly Region[];
  /** Clusters that an entry of the active disk names, and something else before it. */
  readonly taken: ReadonlySet<number>;
  /** Clusters that a table of snapshots alone names at two places. */
  readonly repeated: ReadonlySet<number>;
  readonly cutOff: CutOff;
}

/**
 * Counts every reference of an image but those to refcount blocks, and judges every entry on the
 * way. Each L2 table is read once, weighted by how many L1 entries point at it.
 *
 * QEMU: block/qcow2-refcount.c, calculate_refcounts.
 */
export async function countReferences(
  image: Image,
  format: TableFormat,
  collector: FindingCollector,
  onProgress: (done: number) => void,
): Promise<References> {
  const { clusterBytes } = image.geometry;
  // The cluster that the file ends in is not there as a whole: who names it needs a closer look.
  const wholeClusters = Math.floor(image.fileSizeBytes / clusterBytes);
  const scan = { ...scanOf(format), fileClusters: wholeClusters };
  const external = image.header.externalDataFile;
  const cutOff = new CutOff(image);
  const counter = new ReferenceCounter(format, image.fileSizeBytes, collector, cutOff);
  const regions = metadataRegions(image, new Float64Array(0));
  for (const { owner, at, bytes } of regions) {
    counter.count(at, bytes, 1, 'METADATA_PAST_END', () => ({ structure: owner, at }));
  }
  const { tally, activeL1 } = await countL2Tables(image, counter, collector);
  const { offsets, active, inactive } = tally;
  const layout: Layout = { allocated: 0, fragmented: 0, compressed: 0 };
  const hasCopied = new Uint8Array(offsets.length);
  const odd = new Uint8Array(offsets.length);
  const marked = new Uint8Array(offsets.length);
  const marks = new FlagMarks(format.fileClusters);
  const tables = new TableCounter(scan, counter.counts);
  const { runs } = tables;
  const takenTwice = new Set<number>();
  const noteTaken: Taken = (cluster) => {
    if (takenTwice.size < TAKEN_MAX) takenTwice.add(cluster);
  };
  const repeated = new Set<number>();
  const noteRepeated: Taken = (cluster) => {
    if (repeated.size < TAKEN_MAX) repeated.add(cluster);
  };
  let seen: ClusterSet | undefined;
  const bitmaps = new BitmapCounter(image, counter, collector);
  // While the active disk alone is counted, a cluster that is counted already is at two places of it.
  await walkReferences(
    image,
    { offsets, order: activeFirst(tally) },
    {
      l2Table: (index, words, before) => {
        const isActive = active[index] !== 0;
        const taken = isActive ? noteTaken : undefined;
        const pointers = active[index]! + inactive[index]!;
        const structure = isActive ? 'active-l2' : 'inactive-l2';
        const place = { scan, structure, tableAt: offsets[index]!, pointers, taken } as const;
        countTable(words, scan, pointers, tables, external, taken, (entry) => {
          odd[index] = 1;
          judgeEntry(words, entry, place, image, { counter, collector });
          return false;
        });
        if (isActive && runs.isPlain) {
          addPlainLayout(runs, active[index]!, layout);
          marks.add(runs);
          marked[index] = 1;
        } else if (isActive) addLayout(words, scan, active[index]!, external, layout);
        else if (runs.isPlain) visitRepeatsOfRuns(runs, noteRepeated);
        else if (!external) {
          seen ??= new ClusterSet(format.fileClusters);
          visitRepeats(words, scan, seen, noteRepeated);
        }
        hasCopied[index] = runs.anyCopied ? 1 : 0;
        if ((before & 0x3ff) === 0) onProgress(before / offsets.length);
      },
      bitmapEntry: (high, low, at, bitmap) => {
        bitmaps.count(high, low, at, bitmap);
      },
    },
  );
  const flags = { hasCopied, odd, marks, marked };
  const found = { regions, taken: takenTwice, repeated, cutOff };
  return {
    counter,
    scan,
    tally,
    activeL1,
    layout,
    bitmapFailure: bitmaps.failure,
    ...flags,
    ...found,
  };
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
  image: Image,
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
  return { tally: tallyOf(pointers), activeL1 };
}

/**
 * The fast loop counts; where it stops, or where it would overlook something, `judge` looks.
 *
 * @param words as they are stored; in host order afterwards, unless the table is plain.
 */
function countTable(
  words: Uint32Array,
  scan: Scan,
  pointers: number,
  tables: TableCounter,
  externalDataFile: boolean,
  taken: Taken | undefined,
  judge: Flawed,
): void {
  if (!externalDataFile && scan.stride === 2) {
    tables.count(words, pointers, judge, taken);
    return;
  }
  swapWords(words);
  if (externalDataFile || nextBadBitmap(words, scan, 0) !== NO_PROBLEM) {
    tables.lookAt(words);
    for (let i = 0; i * scan.stride < words.length; i++) judge(i, words);
  } else tables.countInHostOrder(words, pointers, judge, taken);
}

function addPlainLayout({ allocated, fragmented }: Runs, times: number, to: Layout): void {
  to.allocated += allocated * times;
  to.fragmented += fragmented * times;
}

/** Counts the clusters that hold the bits of persistent bitmaps. Spec: Bitmap table. */
class BitmapCounter {
  /** Where QEMU fails to load one. */
  failure: References['bitmapFailure'];
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
