import { printableText } from '../base/text.js';
import { swapWords } from '../base/words.js';
import { visitBitmapEntries } from '../image/bitmap-tables.js';
import type { Image } from '../image/image.js';
import { judgeBitmap, judgeBitmapEntry, type BitmapFault } from '../image/judge-bitmaps.js';
import { visitL1Tables } from '../image/l1-tables.js';
import { metadataRegions, type Region } from '../image/regions.js';
import { walkStoredTables } from '../image/walk.js';
import { offsetOf, type TableFormat } from '../l1l2/entry.js';
import {
  addLayout,
  addReferences,
  anyCopied,
  nextBadBitmap,
  NO_PROBLEM,
  scanOf,
  type Layout,
  type Scan,
  type Taken,
} from '../l1l2/scan.js';
import { FlagMarks } from '../l1l2/flag-marks.js';
import { visitRepeats, visitRepeatsOfRuns } from '../l1l2/repeats.js';
import { newRuns, type Runs } from '../l1l2/runs.js';
import { addStoredReferences } from '../l1l2/stored-scan.js';
import { ACTIVE_DISK } from '../refs/disk-sets.js';
import { tallyOf, type DiskTally } from '../refs/disk-tally.js';
import { PointerCollector } from '../refs/pointers.js';
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
  const layout: Layout = { allocated: 0, fragmented: 0, compressed: 0 };
  const hasCopied = new Uint8Array(tally.offsets.length);
  const odd = new Uint8Array(tally.offsets.length);
  const marked = new Uint8Array(tally.offsets.length);
  const marks = new FlagMarks(format.fileClusters);
  const { offsets, active, inactive } = tally;
  const runs = newRuns(scan);
  const takenTwice = new Set<number>();
  const noteTaken: Taken = (cluster) => {
    if (takenTwice.size < TAKEN_MAX) takenTwice.add(cluster);
  };
  const repeated = new Set<number>();
  const noteRepeated: Taken = (cluster) => {
    if (repeated.size < TAKEN_MAX) repeated.add(cluster);
  };
  let seen: ClusterSet | undefined;
  // While the active disk alone is counted, a cluster that is counted already is at two places of it.
  const order = activeFirst(tally);
  const inOrder = order === undefined ? offsets : Float64Array.from(order, (i) => offsets[i]!);
  await walkStoredTables(image.source, inOrder, clusterBytes, (position, words) => {
    const index = order === undefined ? position : order[position]!;
    const taken = active[index] === 0 ? undefined : noteTaken;
    const pointers = active[index]! + inactive[index]!;
    const structure = active[index] === 0 ? 'inactive-l2' : 'active-l2';
    const judge = (entry: number): void => {
      odd[index] = 1;
      const place = { scan, structure, tableAt: offsets[index]!, pointers, taken } as const;
      judgeEntry(words, entry, place, image, { counter, collector });
    };
    countTable(words, scan, pointers, counter, external, runs, judge, taken);
    if (active[index] !== 0) {
      if (runs.isPlain) {
        addPlainLayout(runs, active[index]!, layout);
        marks.add(runs);
        marked[index] = 1;
      } else addLayout(words, scan, active[index]!, external, layout);
    } else if (runs.isPlain) visitRepeatsOfRuns(runs, noteRepeated);
    else if (!external) {
      seen ??= new ClusterSet(format.fileClusters);
      visitRepeats(words, scan, seen, noteRepeated);
    }
    hasCopied[index] = runs.anyCopied ? 1 : 0;
    if ((position & 0x3ff) === 0) onProgress(position / offsets.length);
  });
  const bitmapFailure = await countBitmapData(image, counter, collector);
  const flags = { hasCopied, odd, marks, marked };
  const found = { bitmapFailure, regions, taken: takenTwice, repeated, cutOff };
  return { counter, scan, tally, activeL1, layout, ...flags, ...found };
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
  const pointers = new PointerCollector();
  let activeL1: Uint32Array = new Uint32Array(0);
  const refs = [image.header.activeL1, ...image.snapshots.map(({ l1 }) => l1)];
  await visitL1Tables(image.source, refs, (position, words) => {
    const isActive = position === 0;
    const disk = isActive ? ACTIVE_DISK : image.snapshots[position - 1]!.index + 1;
    if (isActive) activeL1 = words;
    const structure = isActive ? 'active-l1' : 'inactive-l1';
    for (let i = 0; i < words.length; i += 2) {
      const high = words[i]!;
      const low = words[i + 1]!;
      if ((high | low) === 0) continue;
      const offset = offsetOf(high, low);
      const at = refs[position]!.at + i * 4;
      const where = (): Found => ({ structure, at, facts: factsOf(high, low) });
      if ((high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0) {
        collector.add('L1_ENTRY_RESERVED_BITS', where());
      }
      if (offset === 0) collector.add('COPIED_WITHOUT_CLUSTER', where());
      // QEMU takes the header for a table where an entry has flags and no offset.
      counter.count(offset, clusterBytes, 1, 'L1_ENTRY_PAST_END', where);
      if (offset % clusterBytes !== 0) collector.add('L1_ENTRY_MISALIGNED', where());
      pointers.add(disk, offset);
    }
  });
  return { tally: tallyOf(pointers.finish()), activeL1 };
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
  counter: ReferenceCounter,
  externalDataFile: boolean,
  runs: Runs,
  judge: (entry: number) => void,
  taken: Taken | undefined,
): void {
  let entry = 0;
  if (!externalDataFile && scan.stride === 2) {
    entry = addStoredReferences(words, scan, pointers, counter.counts, runs, taken);
  } else {
    swapWords(words);
    runs.isPlain = false;
    runs.anyCopied = anyCopied(words, scan);
    if (externalDataFile || nextBadBitmap(words, scan, 0) !== NO_PROBLEM) {
      for (let i = 0; i * scan.stride < words.length; i++) judge(i);
      return;
    }
    entry = addReferences(words, scan, pointers, counter.counts, 0, taken);
  }
  while (entry !== NO_PROBLEM) {
    judge(entry);
    entry = addReferences(words, scan, pointers, counter.counts, entry + 1, taken);
  }
}

function addPlainLayout({ allocated, fragmented }: Runs, times: number, to: Layout): void {
  to.allocated += allocated * times;
  to.fragmented += fragmented * times;
}

/**
 * Counts the clusters that hold the bits of persistent bitmaps.
 *
 * @returns where QEMU fails to load one. Spec: Bitmap table.
 */
async function countBitmapData(
  image: Image,
  counter: ReferenceCounter,
  collector: FindingCollector,
): Promise<References['bitmapFailure']> {
  const { clusterBytes } = image.geometry;
  let failure: References['bitmapFailure'];
  for (const bitmap of image.bitmaps) {
    const fault = judgeBitmap(bitmap, image);
    if (fault === undefined) continue;
    addBitmapFault(bitmap, fault, collector);
    failure = 'open';
  }
  await visitBitmapEntries(image, image.bitmaps, (high, low, at, { name, inUse }) => {
    const offset = offsetOf(high, low);
    const where = (): Found => {
      const facts = { ...factsOf(high, low), name: printableText(name) };
      return { structure: 'bitmap-table', at, facts };
    };
    if (judgeBitmapEntry(high, low, clusterBytes) !== undefined) {
      collector.add('BITMAP_TABLE_ENTRY_INVALID', where());
      // One that was not saved properly is not loaded when the image is opened.
      if (!inUse) failure = 'open';
      failure ??= 'check';
    } else if (offset !== 0) {
      counter.count(offset, clusterBytes, 1, 'BITMAP_TABLE_ENTRY_INVALID', where);
    }
  });
  return failure;
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
