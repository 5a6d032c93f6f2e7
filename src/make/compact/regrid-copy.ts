import { throwIfAborted } from '../../base/abort.js';
import { isZero } from '../../base/bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import { bytesOfWords, HIGH_WORD } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import type { WriteRequest } from '../../io/device.js';
import { COPIED } from '../../l1l2/entry.js';
import { HostClusters } from '../new/host-clusters.js';
import type { Packing } from '../new/packing.js';
import { packingOf } from './packing-of.js';
import type { WriteQueue } from '../new/write-queue.js';
import type { CompactTarget } from './compact-target.js';
import { noTotals, withoutZeros, type DataRules, type DataTotals } from './copy-data.js';
import { newTablesOf, Regrid, type NewCluster, type NewTable, type NewTables } from './regrid.js';
import { setNewEntry } from './regrid-entries.js';
import { RegridReader } from './regrid-reader.js';
import type { NewLayout } from './new-layout.js';
import type { SourceTables } from './source-tables.js';
import type { Survey } from './survey.js';
import { EqualContents } from './equal-contents.js';

/** Bytes of clusters that are read together. */
const STEP_BYTES = 4 * MiB;

/** A cluster of the new image that has a place, or reads as zeros. */
interface Placed {
  /** How many new L1 entries lead to it. */
  references: number;
  /** 0: it has none yet. */
  at: number;
  /** Bytes that it was compressed to; 0: it was not. */
  packedBytes: number;
  isZero: boolean;
  /** An equal one of another disk, which is in its place. */
  standIn: Placed | undefined;
}

/** The disks in clusters of another size, or with other L2 entries. */
export class RegridLayout implements NewLayout {
  readonly clusters: HostClusters;
  readonly l1Entries: readonly number[];
  readonly #packing: Packing;
  readonly #source: SourceTables;
  readonly #target: CompactTarget;
  readonly #regrid: Regrid;
  readonly #reader: RegridReader;
  readonly #new: NewTables;
  readonly #hasBacking: boolean;
  readonly #placed = new Map<string, Placed>();
  /** By table: its place; 0: none. */
  readonly #tables: Float64Array;

  constructor(source: SourceTables, survey: Survey, target: CompactTarget) {
    const { geometry } = target;
    this.clusters = new HostClusters(geometry, 1);
    this.#packing = packingOf(this.clusters, geometry.clusterBytes);
    this.#source = source;
    this.#target = target;
    this.#regrid = new Regrid(source, survey, geometry);
    this.#reader = new RegridReader(source, survey, geometry.clusterBytes);
    this.#new = newTablesOf(source, geometry);
    this.#hasBacking = source.image.backingNameBytes !== undefined;
    this.#tables = new Float64Array(this.#new.tables.length);
    this.l1Entries = this.#new.l1s.map(({ length }) => length);
  }

  async copy(queue: WriteQueue, rules: DataRules): Promise<DataTotals> {
    const totals = noTotals();
    await this.#countReferences(rules);
    if (rules.dedupe) await this.#dedupe(rules, totals);
    let writing: Promise<void> = Promise.resolve();
    try {
      for (const [index, table] of this.#new.tables.entries()) {
        const words = new Uint32Array(this.#target.geometry.clusterBytes / 4);
        for await (const clusters of this.#regrid.clustersOf(table)) {
          for (const step of this.#stepsOf(clusters)) {
            throwIfAborted(rules.signal, 'the compaction');
            const requests = await this.#written(step, rules, totals);
            await writing;
            writing = queue.inTurn([requests]);
            // Its error is taken by the `await` of the next round or below.
            writing.catch(() => undefined);
          }
          for (const cluster of clusters) {
            const placed = this.#placeOf(cluster);
            const isOnly = table.isActive && this.#references(placed) === 1;
            setNewEntry(words, cluster, { ...placed, isOnly }, this.#target);
          }
        }
        await writing;
        writing = this.#placeTable(index, words, queue);
        writing.catch(() => undefined);
      }
      await writing;
    } finally {
      await writing.catch(() => undefined);
    }
    return totals;
  }

  encodeL1(disk: number): Uint8Array {
    const entries = this.#new.l1s[disk]!;
    const { clusterBytes } = this.#target.geometry;
    const words = new Uint32Array(roundUp(entries.length * 8, clusterBytes) / 4);
    entries.forEach((table, i) => {
      const at = table === -1 ? 0 : this.#tables[table]!;
      if (at === 0) return;
      const isOnly = disk === 0 && this.#new.tables[table]!.pointers === 1;
      words[2 * i] = ((isOnly ? COPIED : 0) | Math.floor(at / HIGH_WORD)) >>> 0;
      words[2 * i + 1] = at >>> 0;
    });
    return bytesOfWords(words);
  }

  async #countReferences({ signal }: DataRules): Promise<void> {
    for (const table of this.#new.tables) {
      for await (const clusters of this.#regrid.clustersOf(table)) {
        throwIfAborted(signal, 'the compaction');
        for (const { key, pieces } of clusters) {
          this.#refuseDivided(pieces);
          const placed = this.#placed.get(key);
          if (placed !== undefined) placed.references += table.pointers;
          else {
            const isZero = pieces.every(({ kind }) => kind === 'none' || kind === 'zero');
            const references = table.pointers;
            this.#placed.set(key, {
              ...{ references, at: 0, packedBytes: 0, isZero, standIn: undefined },
            });
          }
        }
      }
    }
  }

  /** @throws QsnapError BACKING_REFUSED where a new unit has a part that the backing file has. */
  #refuseDivided(pieces: NewCluster['pieces']): void {
    if (!this.#hasBacking) return;
    const { clusterBytes, l2EntryBytes } = this.#target.geometry;
    const unitBytes = l2EntryBytes === 16 ? clusterBytes / 32 : clusterBytes;
    let at = 0;
    let wasNone = pieces[0]!.kind === 'none';
    for (const { kind, length } of pieces) {
      const isNone = kind === 'none';
      if (isNone !== wasNone && at % unitBytes !== 0) throw dividedUnit(this.#source, unitBytes);
      wasNone = isNone;
      at += length;
    }
  }

  /** How many entries lead to the host cluster; 0: it has none. */
  #references({ at }: Placed): number {
    return at === 0 ? 0 : this.clusters.count(at / this.#target.geometry.clusterBytes);
  }

  #placeOf({ key }: NewCluster): Placed {
    let placed = this.#placed.get(key)!;
    while (placed.standIn !== undefined) placed = placed.standIn;
    return placed;
  }

  /** Looks for equal clusters at one guest address, in tables for the same part of several disks. */
  async #dedupe(rules: DataRules, totals: DataTotals): Promise<void> {
    const byStart = new Map<number, NewTable[]>();
    for (const table of this.#new.tables) {
      const others = byStart.get(table.from) ?? [];
      byStart.set(table.from, others);
      others.push(table);
    }
    for (const tables of byStart.values()) {
      if (tables.length < 2) continue;
      for (const step of this.#candidates(await this.#byEntry(tables))) {
        throwIfAborted(rules.signal, 'the compaction');
        const contents = await this.#reader.contentsOf(step, rules, noTotals());
        const firsts = new Map<number, EqualContents<NewCluster>>();
        for (const [i, cluster] of step.entries()) {
          const equal = firsts.get(cluster.entry) ?? new EqualContents(rules.isEqual);
          firsts.set(cluster.entry, equal);
          const first = equal.firstLike(contents[i]!, cluster);
          if (first !== cluster) this.#stand(first, cluster, totals);
        }
      }
    }
  }

  /** The different clusters of each entry, of which all content is the image's own. */
  async #byEntry(tables: readonly NewTable[]): Promise<ReadonlyMap<number, NewCluster[]>> {
    const found = new Map<number, NewCluster[]>();
    for (const table of tables) {
      for await (const clusters of this.#regrid.clustersOf(table)) {
        for (const cluster of clusters) {
          const isOwn = !this.#hasBacking || cluster.pieces.every(({ kind }) => kind !== 'none');
          if (!isOwn || this.#placeOf(cluster).isZero) continue;
          const others = found.get(cluster.entry) ?? [];
          found.set(cluster.entry, others);
          if (others.every(({ key }) => key !== cluster.key)) others.push(cluster);
        }
      }
    }
    return found;
  }

  *#candidates(
    byEntry: ReadonlyMap<number, readonly NewCluster[]>,
  ): Generator<readonly NewCluster[]> {
    const most = Math.max(1, STEP_BYTES / this.#target.geometry.clusterBytes);
    let step: NewCluster[] = [];
    for (const clusters of byEntry.values()) {
      if (clusters.length < 2) continue;
      step.push(...clusters);
      if (step.length < most) continue;
      yield step;
      step = [];
    }
    if (step.length > 0) yield step;
  }

  #stand(first: NewCluster, cluster: NewCluster, totals: DataTotals): void {
    const [one, other] = [this.#placeOf(first), this.#placeOf(cluster)];
    if (one === other || one.references + other.references > this.clusters.countMax) return;
    one.references += other.references;
    other.standIn = one;
    totals.dedupedClusters += 1;
  }

  /** Clusters that have no place yet, so many as are read together. */
  *#stepsOf(clusters: readonly NewCluster[]): Generator<readonly NewCluster[]> {
    const most = Math.max(1, STEP_BYTES / this.#target.geometry.clusterBytes);
    let step = new Map<Placed, NewCluster>();
    for (const cluster of clusters) {
      const placed = this.#placeOf(cluster);
      if (placed.isZero || placed.at !== 0) continue;
      step.set(placed, cluster);
      if (step.size < most) continue;
      yield [...step.values()];
      step = new Map();
    }
    if (step.size > 0) yield [...step.values()];
  }

  /** Reads clusters, gives each its place. Returns what is written. */
  async #written(
    step: readonly NewCluster[],
    rules: DataRules,
    totals: DataTotals,
  ): Promise<WriteRequest[]> {
    const contents = await this.#reader.contentsOf(step, rules, totals);
    const isKept = (i: number): boolean => !(rules.dropZeros && isZero(contents[i]!));
    const packed = await this.#compressed(step, contents, rules, isKept);
    const requests: WriteRequest[] = [];
    for (const [i, cluster] of step.entries()) {
      const placed = this.#placeOf(cluster);
      const bytes = packed.get(i);
      if (!isKept(i)) {
        placed.isZero = true;
        totals.zeroClusters += 1;
      } else if (bytes !== undefined) {
        placed.at = this.#packing.place(bytes.length, placed.references);
        placed.packedBytes = bytes.length;
        totals.compressedClusters += 1;
        totals.packedBytes += bytes.length;
        requests.push({ at: placed.at, bytes });
      } else {
        placed.at = this.clusters.append(1, placed.references);
        rules.cipher?.encrypt(contents[i]!, placed.at / 512);
        requests.push(...withoutZeros(placed.at, contents[i]!));
      }
    }
    for (const { bytes } of requests) totals.dataBytes += bytes.length;
    return requests;
  }

  /** Clusters that get smaller, by their position: all if that was asked for, else what was compressed before. */
  async #compressed(
    step: readonly NewCluster[],
    contents: readonly Uint8Array[],
    { compress, compressor }: DataRules,
    isKept: (i: number) => boolean,
  ): Promise<ReadonlyMap<number, Uint8Array>> {
    const type = compress?.type ?? this.#target.compressionType;
    const wanted = [...step.keys()].filter((i) => {
      const { pieces } = step[i]!;
      const isOwn = !this.#hasBacking || pieces.every(({ kind }) => kind !== 'none');
      const wasPacked = pieces.some(({ kind }) => kind === 'packed');
      return isOwn && isKept(i) && (compress !== undefined || wasPacked);
    });
    const found = new Map<number, Uint8Array>();
    if (wanted.length === 0 || compressor === undefined) return found;
    const packed = await compressor.compress(
      type,
      wanted.map((i) => contents[i]!),
    );
    for (const [n, i] of wanted.entries()) {
      const bytes = packed[n];
      if (bytes !== undefined) found.set(i, bytes);
    }
    return found;
  }

  async #placeTable(index: number, words: Uint32Array, queue: WriteQueue): Promise<void> {
    if (words.every((word) => word === 0)) return;
    const at = this.clusters.append(1, this.#new.tables[index]!.pointers);
    this.#tables[index] = at;
    await queue.inTurn([[{ at, bytes: bytesOfWords(words) }]]);
  }
}

function dividedUnit({ image }: SourceTables, unitBytes: number): QsnapError {
  return new QsnapError(
    'BACKING_REFUSED',
    `with units of ${unitBytes} bytes some would have a part that only the backing file has`,
    {
      file: image.source.label,
      hint: 'keep the size of clusters, or make it smaller',
    },
  );
}
