import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import { wordsInPlace } from '../../base/words.js';
import type { ReadRequest } from '../../io/device.js';
import { tableReads } from '../../io/table-reads.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../../l1l2/entry.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { PackedClusters } from './packed-clusters.js';
import type { SourceTables } from './source-tables.js';
import { holdsData, type Survey } from './survey.js';

/** Bytes of clusters that are read together. */
const STEP_BYTES = 4 * MiB;
/** Bytes of L2 tables that are read together. */
const TABLES_BYTES = MiB;
/** Where clusters are tiny, a step ends by its number of items. */
const STEP_ITEMS = 4096;
/** Steps whose bytes are in memory: one is read, one worked on, one written. */
const STEPS_AT_ONCE = 3;

/** One thing of the old image, in the order in which the new one has them. */
export type StepItem =
  | { readonly kind: 'table'; readonly table: number; readonly words: Uint32Array }
  | { readonly kind: 'cluster'; readonly cluster: number; readonly bytes: Uint8Array }
  | { readonly kind: 'packed'; readonly index: number; readonly bytes: Uint8Array };

/**
 * All that the disks refer to, each once: what an L2 table is the first to lead to, and behind it the table.
 *
 * The bytes are lent: they change three steps later.
 */
export async function* stepsOf(
  source: SourceTables,
  survey: Survey,
): AsyncGenerator<readonly StepItem[]> {
  const { image } = source;
  const memories = Array.from({ length: STEPS_AT_ONCE }, () => new Uint8Array(0));
  let turn = 0;
  for await (const items of itemsOf(source, survey)) {
    const bytes = items.reduce((sum, item) => sum + (item.kind === 'table' ? 0 : item.bytes), 0);
    if (memories[turn]!.length < bytes) memories[turn] = newIoBytes(bytes);
    const { loaded, reads } = placedIn(memories[turn]!, items);
    if (reads.length > 0) await image.source.readBatch(reads);
    yield loaded;
    turn = (turn + 1) % STEPS_AT_ONCE;
  }
}

/** A cluster or a compressed one before its bytes are there: `number` is that of the cluster, or the index. */
interface OpenItem {
  readonly kind: 'cluster' | 'packed';
  readonly number: number;
  readonly at: number;
  readonly bytes: number;
}

type TableItem = Extract<StepItem, { kind: 'table' }>;

function placedIn(
  memory: Uint8Array,
  items: readonly (OpenItem | TableItem)[],
): { readonly loaded: StepItem[]; readonly reads: ReadRequest[] } {
  const runs: { at: number; from: number; to: number }[] = [];
  let used = 0;
  const loaded = items.map((item): StepItem => {
    if (item.kind === 'table') return item;
    const { kind, number, at, bytes } = item;
    const last = runs.at(-1);
    if (last !== undefined && last.at + last.to - last.from === at) last.to += bytes;
    else runs.push({ at, from: used, to: used + bytes });
    used += bytes;
    const view = memory.subarray(used - bytes, used);
    return kind === 'cluster'
      ? { kind, cluster: number, bytes: view }
      : { kind, index: number, bytes: view };
  });
  const reads = runs.map(({ at, from, to }) => ({ at, into: memory.subarray(from, to) }));
  return { loaded, reads };
}

async function* itemsOf(
  source: SourceTables,
  survey: Survey,
): AsyncGenerator<(OpenItem | TableItem)[]> {
  const { format } = source;
  const seen = { clusters: new ClusterSet(format.fileClusters), packed: newFlags(survey.packed) };
  let items: (OpenItem | TableItem)[] = [];
  let bytes = 0;
  for await (const [table, words] of tablesOf(source)) {
    for (const item of newIn(words, source, survey, seen)) {
      items.push(item);
      bytes += item.bytes;
      if (bytes < STEP_BYTES && items.length < STEP_ITEMS) continue;
      yield items;
      items = [];
      bytes = 0;
    }
    items.push({ kind: 'table', table, words: words.slice() });
  }
  if (items.length > 0) yield items;
}

function newFlags({ length }: PackedClusters): ClusterSet {
  return new ClusterSet(length);
}

/** What a table refers to and none before it did. */
function* newIn(
  words: Uint32Array,
  { format, scan }: SourceTables,
  { packed, standsFor }: Survey,
  seen: { readonly clusters: ClusterSet; readonly packed: ClusterSet },
): Generator<OpenItem> {
  const { clusterBytes, clusterBits } = format.geometry;
  const { stride } = scan;
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) !== 0) {
      const { at } = compressedExtent(high, low, clusterBits);
      const number = packed.indexOf(at);
      if (seen.packed.has(number)) continue;
      seen.packed.add(number);
      yield { kind: 'packed', number, at, bytes: packed.bytes[number]! };
    } else if (holdsData(words, i, stride)) {
      const number = standsFor(offsetOf(high, low) / clusterBytes);
      if (seen.clusters.has(number)) continue;
      seen.clusters.add(number);
      yield { kind: 'cluster', number, at: number * clusterBytes, bytes: clusterBytes };
    }
  }
}

/** The tables in their order, in host order of words. */
async function* tablesOf({
  image,
  format,
  tables,
}: SourceTables): AsyncGenerator<readonly [table: number, words: Uint32Array]> {
  const { clusterBytes } = format.geometry;
  const most = Math.max(1, Math.floor(TABLES_BYTES / clusterBytes));
  const memory = newIoBytes(Math.min(most, tables.length) * clusterBytes);
  for (let first = 0; first < tables.length; first += most) {
    const end = Math.min(first + most, tables.length);
    const into = memory.subarray(0, (end - first) * clusterBytes);
    await image.source.readBatch(tableReads(tables, first, end, clusterBytes, into));
    const words = wordsInPlace(into);
    for (let table = first; table < end; table++) {
      const from = ((table - first) * clusterBytes) / 4;
      yield [table, words.subarray(from, from + clusterBytes / 4)];
    }
  }
}
