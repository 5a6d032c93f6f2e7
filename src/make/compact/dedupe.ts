import { throwIfAborted } from '../../base/abort.js';
import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import { wordsInPlace } from '../../base/words.js';
import { COMPRESSED, offsetOf } from '../../l1l2/entry.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import { EqualContents, type IsEqual } from './equal-contents.js';
import type { SourceTables } from './source-tables.js';
import { holdsData, type Survey } from './survey.js';

/** Bytes of clusters that are read and compared together. */
const BATCH_BYTES = 4 * MiB;

/** What equal clusters are looked for with. */
export interface DedupeOptions {
  readonly isEqual: IsEqual | undefined;
  readonly cipher: DiskCipher | undefined;
  /** How many references one cluster may have. */
  readonly referencesMax: number;
  readonly signal: AbortSignal | undefined;
}

/** A survey in which one cluster stands for all that are equal to it. */
export interface Deduped {
  readonly survey: Survey;
  /** Clusters for which another one stands. */
  readonly clusters: number;
}

/**
 * Looks for clusters of several disks at one guest address that are equal. The one that comes first
 * in the order of disks stands for them all. Compressed clusters and those of which only some subclusters are in use
 * are left as they are.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function dedupe(
  source: SourceTables,
  survey: Survey,
  options: DedupeOptions,
): Promise<Deduped> {
  const finder = new EqualClusters(source, survey, options);
  const words = Math.max(...source.disks.map(({ l1 }) => l1.length));
  for (let i = 0; i < words; i += 2) {
    const offsets = new Set(source.disks.map(({ l1 }) => offsetOf(l1[i] ?? 0, l1[i + 1] ?? 0)));
    offsets.delete(0);
    if (offsets.size < 2) continue;
    throwIfAborted(options.signal, 'the compaction');
    await finder.look(await readTables(source, [...offsets]));
  }
  await finder.finish();
  return finder.result();
}

async function readTables(
  { image, format }: SourceTables,
  offsets: readonly number[],
): Promise<readonly Uint32Array[]> {
  const tables = offsets.map(() => new Uint8Array(format.geometry.clusterBytes));
  await image.source.readBatch(tables.map((into, i) => ({ at: offsets[i]!, into })));
  return tables.map(wordsInPlace);
}

class EqualClusters {
  readonly #source: SourceTables;
  readonly #survey: Survey;
  readonly #options: DedupeOptions;
  readonly #references: Uint32Array;
  /** By cluster: the one that stands for it, and 1 more; 0: itself. */
  readonly #standIns: Uint32Array;
  #deduped = 0;
  /** Clusters at one guest address each, to be compared. */
  #groups: number[][] = [];
  #bytes = 0;

  constructor(source: SourceTables, survey: Survey, options: DedupeOptions) {
    this.#source = source;
    this.#survey = survey;
    this.#options = options;
    this.#references = survey.references.slice();
    this.#standIns = new Uint32Array(survey.references.length);
  }

  /** @param tables of one guest range, in the order of disks. */
  async look(tables: readonly Uint32Array[]): Promise<void> {
    const { scan, format } = this.#source;
    const { stride } = scan;
    const { clusterBytes } = format.geometry;
    for (let i = 0; i < tables[0]!.length; i += stride) {
      const clusters = new Set<number>();
      for (const words of tables) {
        const isPlain = (words[i]! & COMPRESSED) === 0 && holdsData(words, i, stride);
        if (!isPlain) continue;
        const cluster = offsetOf(words[i]!, words[i + 1]!) / clusterBytes;
        const isPartial = stride === 4 && this.#survey.partial.has(cluster);
        if (!isPartial && this.#standIns[cluster] === 0) clusters.add(cluster);
      }
      if (clusters.size < 2) continue;
      this.#groups.push([...clusters]);
      this.#bytes += clusters.size * clusterBytes;
      if (this.#bytes >= BATCH_BYTES) await this.finish();
    }
  }

  /** Compares what was found so far. */
  async finish(): Promise<void> {
    const groups = this.#groups;
    const { image, format } = this.#source;
    const { clusterBytes } = format.geometry;
    const memory = newIoBytes(this.#bytes);
    this.#groups = [];
    this.#bytes = 0;
    let used = 0;
    const reads = groups.flat().map((cluster) => {
      used += clusterBytes;
      return { at: cluster * clusterBytes, into: memory.subarray(used - clusterBytes, used) };
    });
    await image.source.readBatch(reads);
    let next = 0;
    for (const group of groups) {
      const equal = new EqualContents<number>(this.#options.isEqual);
      for (const cluster of group) {
        const { at, into } = reads[next++]!;
        this.#options.cipher?.decrypt(into, at / 512);
        const first = equal.firstLike(into, cluster);
        if (first !== cluster) this.#stand(first, cluster);
      }
    }
  }

  result(): Deduped {
    const standIns = this.#standIns;
    const standsFor = (cluster: number): number => {
      let at = cluster;
      while (standIns[at] !== 0) at = standIns[at]! - 1;
      return at;
    };
    const survey = { ...this.#survey, references: this.#references, standsFor };
    return { survey, clusters: this.#deduped };
  }

  #stand(first: number, cluster: number): void {
    const references = this.#references;
    // Either may have got a stand-in at another guest address meanwhile.
    if (this.#standIns[first] !== 0 || this.#standIns[cluster] !== 0) return;
    const sum = references[first]! + references[cluster]!;
    if (sum > this.#options.referencesMax) return;
    references[first] = sum;
    references[cluster] = 0;
    this.#standIns[cluster] = first + 1;
    this.#deduped += 1;
  }
}
