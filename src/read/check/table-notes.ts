import { swapWords } from '../../base/words.js';
import type { Image } from '../../image/image.js';
import type { TableFormat } from '../../l1l2/entry.js';
import {
  addLayout,
  nextBadBitmap,
  NO_PROBLEM,
  type Layout,
  type Scan,
  type Taken,
} from '../../l1l2/scan.js';
import { FlagMarks } from '../../l1l2/flag-marks.js';
import { visitRepeats, visitRepeatsOfRuns } from '../../l1l2/repeats.js';
import type { Runs } from '../../l1l2/runs.js';
import type { DiskTally } from '../../refs/disk-tally.js';
import { TableCounter, type Flawed } from '../../refs/table-counter.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { FindingCollector } from './collector.js';
import { judgeEntry } from './judge-entry.js';
import type { ReferenceCounter } from './reference-counter.js';

/** Clusters at two places that are kept: more make no difference to what is to be done. */
const TAKEN_MAX = 10_000;

/** Counts what the L2 tables refer to, judges odd entries, and notes what is asked for later. */
export class TableNotes {
  readonly layout: Layout = { allocated: 0, fragmented: 0, compressed: 0 };
  /** By index in the tally: 1 where a table has an entry with the COPIED flag. */
  readonly hasCopied: Uint8Array;
  /** By index in the tally: 1 where an entry needed a closer look. */
  readonly odd: Uint8Array;
  /** The flags of active tables that were plain. */
  readonly marks: FlagMarks;
  /** By index in the tally: 1 for tables whose flags `marks` has. */
  readonly marked: Uint8Array;
  /** Clusters that an entry of the active disk names, and something else before it. */
  readonly taken = new Set<number>();
  /** Clusters that a table of snapshots alone names at two places. */
  readonly repeated = new Set<number>();
  readonly #image: Image;
  readonly #format: TableFormat;
  readonly #scan: Scan;
  readonly #tally: DiskTally;
  readonly #to: Judging;
  readonly #tables: TableCounter;
  #seen: ClusterSet | undefined;

  constructor(image: Image, format: TableFormat, scan: Scan, tally: DiskTally, to: Judging) {
    this.hasCopied = new Uint8Array(tally.offsets.length);
    this.odd = new Uint8Array(tally.offsets.length);
    this.marked = new Uint8Array(tally.offsets.length);
    this.marks = new FlagMarks(format.fileClusters);
    this.#image = image;
    this.#format = format;
    this.#scan = scan;
    this.#tally = tally;
    this.#to = to;
    this.#tables = new TableCounter(scan, to.counter.counts);
  }

  /** @param words as they are stored. */
  add(index: number, words: Uint32Array): void {
    const times = this.#tally.active[index]!;
    this.#count(index, words);
    const { runs } = this.#tables;
    const external = this.#image.header.externalDataFile;
    if (times !== 0 && runs.isPlain) {
      addPlainLayout(runs, times, this.layout);
      this.marks.add(runs);
      this.marked[index] = 1;
    } else if (times !== 0) addLayout(words, this.#scan, times, external, this.layout);
    else if (runs.isPlain) visitRepeatsOfRuns(runs, this.#noteRepeated);
    else if (!external) {
      this.#seen ??= new ClusterSet(this.#format.fileClusters);
      visitRepeats(words, this.#scan, this.#seen, this.#noteRepeated);
    }
    this.hasCopied[index] = runs.anyCopied ? 1 : 0;
  }

  /** The fast loop counts; where it stops, or where it would overlook something, each entry is judged. */
  #count(index: number, words: Uint32Array): void {
    const { offsets, active, inactive } = this.#tally;
    const isActive = active[index] !== 0;
    const taken = isActive ? this.#noteTaken : undefined;
    const pointers = active[index]! + inactive[index]!;
    const structure = isActive ? 'active-l2' : 'inactive-l2';
    const scan = this.#scan;
    const place = { scan, structure, tableAt: offsets[index]!, pointers, taken } as const;
    const judge: Flawed = (entry) => {
      this.odd[index] = 1;
      judgeEntry(words, entry, place, this.#image, this.#to);
      return false;
    };
    const { externalDataFile } = this.#image.header;
    if (!externalDataFile && scan.stride === 2) {
      this.#tables.count(words, pointers, judge, taken);
      return;
    }
    swapWords(words);
    if (externalDataFile || nextBadBitmap(words, scan, 0) !== NO_PROBLEM) {
      this.#tables.lookAt(words);
      for (let i = 0; i * scan.stride < words.length; i++) judge(i, words);
    } else this.#tables.countInHostOrder(words, pointers, judge, taken);
  }

  readonly #noteTaken: Taken = (cluster) => {
    if (this.taken.size < TAKEN_MAX) this.taken.add(cluster);
  };

  readonly #noteRepeated: Taken = (cluster) => {
    if (this.repeated.size < TAKEN_MAX) this.repeated.add(cluster);
  };
}

/** What counts references and what collects findings. */
interface Judging {
  readonly counter: ReferenceCounter;
  readonly collector: FindingCollector;
}

function addPlainLayout({ allocated, fragmented }: Runs, times: number, to: Layout): void {
  to.allocated += allocated * times;
  to.fragmented += fragmented * times;
}
