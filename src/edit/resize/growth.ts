import { hinted } from '../../base/hints.js';
import { clustersToHold } from '../../base/units.js';
import type { NewData } from '../plan/next-state.js';
import type { NewEntries, NewL2Table } from '../tables/table-content.js';
import { QsnapError } from '../../errors.js';
import type { Image, OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { offsetOf } from '../../l1l2/entry.js';
import { standingAt, zeroSubclusters } from './entries.js';
import { readLastTable, type LastTable } from './tables.js';

/** How much of the grown range gets clusters at once. */
export type Preallocation = 'off' | 'metadata' | 'falloc' | 'full';

/** What a disk that grows gets besides room in its L1. */
export interface Growth {
  readonly newL2Tables: readonly NewL2Table[];
  readonly newData: NewData | undefined;
}

/** From `from` up to, not including, `end`. */
interface Range {
  readonly from: number;
  readonly end: number;
}

/** What the grown range is to hold, in guest clusters. */
interface Layout {
  /** Clusters that read as zeros although the backing file has something there. */
  readonly zeros: Range;
  /** Clusters that get host clusters. */
  readonly data: Range;
  /** The content of the first of them, where the old disk ends inside it. */
  readonly head: Uint8Array | undefined;
  /** Make the subclusters past the old end zeros: it lies inside a cluster that stays. */
  readonly zeroTail: boolean;
}

/** What the caller knows and wants. */
export interface GrowthOptions {
  readonly preallocation: Preallocation;
  readonly backingSizeBytes: number | undefined;
  readonly disk: BlockSource | undefined;
}

/**
 * Finds the tables and clusters that a disk needs so that its grown range reads as zeros and is preallocated as asked.
 * Without preallocation it needs none if no backing file reaches past the old end: unallocated entries read as zeros.
 *
 * @throws QsnapError GROWTH_SHOWS_BACKING where zeros can't be had.
 */
export async function growthOf(
  image: OpenImage,
  activeL1: Uint32Array,
  newBytes: number,
  options: GrowthOptions,
): Promise<Growth> {
  const { clusterBytes } = image.geometry;
  const oldBytes = image.header.diskSizeBytes;
  const shownTo = backingEnd(image, options.backingSizeBytes, newBytes);
  const wantsData = options.preallocation !== 'off';
  if (shownTo <= oldBytes && !wantsData) return { newL2Tables: [], newData: undefined };
  if (shownTo > oldBytes && image.header.version === 2) throw noZerosInV2();
  const last = await readLastTable(image, activeL1, oldBytes);
  const head =
    shownTo > oldBytes ? await headOf(image, last, options.disk) : { kind: 'stays' as const };
  const firstWhole = clustersToHold(oldBytes, clusterBytes);
  const dataFrom =
    head.kind === 'copy' || takesHead(image, last)
      ? Math.floor(oldBytes / clusterBytes)
      : firstWhole;
  const layout: Layout = {
    zeros: { from: firstWhole, end: Math.max(firstWhole, clustersToHold(shownTo, clusterBytes)) },
    data: {
      from: dataFrom,
      end: wantsData
        ? clustersToHold(newBytes, clusterBytes)
        : dataFrom + (head.kind === 'copy' ? 1 : 0),
    },
    head: head.kind === 'copy' ? head.bytes : undefined,
    zeroTail: head.kind === 'zero-tail',
  };
  return {
    newL2Tables: tablesOf(image, layout, last),
    newData: dataOf(layout, options.preallocation),
  };
}

/** Up to where the backing file would show in the grown range, if nothing were done. */
function backingEnd(image: Image, backingBytes: number | undefined, newBytes: number): number {
  if (image.backingNameBytes === undefined) return 0;
  // Nobody knows how long it is: it may be as long as it likes.
  return Math.min(newBytes, backingBytes ?? newBytes);
}

/** What becomes of the cluster in which the old disk ends. */
type Head =
  { readonly kind: 'stays' | 'zero-tail' } | { readonly kind: 'copy'; readonly bytes: Uint8Array };

async function headOf(
  image: OpenImage,
  last: LastTable,
  disk: BlockSource | undefined,
): Promise<Head> {
  const { clusterBytes, l2EntryBytes } = image.geometry;
  const oldBytes = image.header.diskSizeBytes;
  const within = oldBytes % clusterBytes;
  if (within === 0) return { kind: 'stays' };
  const index = headIndex(image);
  const standing = standingAt(last.words, index, within, image);
  const subclusterBytes = l2EntryBytes === 16 ? clusterBytes / 32 : clusterBytes;
  const endsInZeros = standing === 'zero' && within % subclusterBytes !== 0;
  const isClean = within % subclusterBytes === 0 || endsInZeros;
  if (isClean && standing !== 'compressed') {
    return { kind: l2EntryBytes === 16 ? 'zero-tail' : 'stays' };
  }
  const bytes = new Uint8Array(clusterBytes);
  const known = bytes.subarray(0, within);
  if (image.header.encryption !== 'none') throw contentNeeded('its content is encrypted');
  if (disk !== undefined) {
    await disk.readBatch([{ at: oldBytes - within, into: known }]);
  } else if (standing === 'data' && l2EntryBytes === 8) {
    const at = offsetOf(last.words[2 * index]!, last.words[2 * index + 1]!);
    await image.source.readBatch([{ at, into: known }]);
  } else {
    throw contentNeeded('its content is not known without the backing file');
  }
  return { kind: 'copy', bytes };
}

/** Which entry of its L2 table maps the cluster in which the old disk ends. */
function headIndex(image: Image): number {
  const { clusterBytes, l2Entries } = image.geometry;
  return Math.floor(image.header.diskSizeBytes / clusterBytes) % l2Entries;
}

/** Whether the cluster in which the old disk ends has no host cluster, and may be given one. */
function takesHead(image: Image, last: LastTable): boolean {
  const { clusterBytes, l2EntryBytes } = image.geometry;
  if (image.header.diskSizeBytes % clusterBytes === 0) return false;
  if (image.backingNameBytes !== undefined) return false;
  const first = headIndex(image) * (l2EntryBytes / 4);
  return last.words.subarray(first, first + l2EntryBytes / 4).every((word) => word === 0);
}

function dataOf({ data, head }: Layout, preallocation: Preallocation): NewData | undefined {
  const clusters = data.end - data.from;
  if (clusters <= 0) return undefined;
  const written = preallocation === 'falloc' || preallocation === 'full';
  return { clusters, first: head, written };
}

/** New tables for all that the layout maps. */
function tablesOf(image: Image, layout: Layout, last: LastTable): readonly NewL2Table[] {
  const { l2Entries } = image.geometry;
  const { zeros, data, zeroTail } = layout;
  const mapped = [zeros, data].filter(({ from, end }) => end > from);
  const headCluster = last.l1Index * l2Entries + headIndex(image);
  if (zeroTail) mapped.push({ from: headCluster, end: headCluster + 1 });
  if (mapped.length === 0) return [];
  const first = Math.floor(Math.min(...mapped.map(({ from }) => from)) / l2Entries);
  const end = clustersToHold(Math.max(...mapped.map((range) => range.end)), l2Entries);
  return Array.from({ length: end - first }, (_, i) => {
    const l1Index = first + i;
    const words = l1Index === last.l1Index ? knownWords(image, last, zeroTail) : undefined;
    return { l1Index, words, runs: runsOf(l1Index * l2Entries, layout, image) };
  });
}

/** The entries that the last table has already; with `zeroTail` the subclusters past the old end are zeros. */
function knownWords(image: Image, last: LastTable, zeroTail: boolean): Uint32Array {
  if (!zeroTail) return last.words;
  const { clusterBytes } = image.geometry;
  const within = image.header.diskSizeBytes % clusterBytes;
  const words = last.words.slice();
  zeroSubclusters(words, headIndex(image), Math.ceil((within * 32) / clusterBytes));
  return words;
}

/** What a table maps anew. @param base the guest cluster of its first entry. */
function runsOf(base: number, { zeros, data, head }: Layout, image: Image): readonly NewEntries[] {
  const { l2Entries } = image.geometry;
  const run = (kind: NewEntries['kind'], { from, end }: Range): NewEntries => {
    const first = Math.max(from, base);
    const count = Math.max(0, Math.min(end, base + l2Entries) - first);
    const dataCluster = kind === 'zero' ? 0 : first - data.from;
    return { first: first - base, count, kind, dataCluster };
  };
  const rest = head === undefined ? data.from : data.from + 1;
  return [
    run('zero', zeros),
    run('data', { from: data.from, end: rest }),
    run(emptyKind(image), { from: rest, end: data.end }),
  ].filter(({ count }) => count > 0);
}

/**
 * How a cluster is kept that was never written. Zeros under encryption would read as noise, and
 * with subclusters QEMU, too, leaves it to the first write to say what is there.
 */
function emptyKind({ header, geometry }: Image): NewEntries['kind'] {
  return header.encryption !== 'none' || geometry.l2EntryBytes === 16 ? 'reserved-zero' : 'data';
}

function noZerosInV2(): QsnapError {
  return new QsnapError(
    'GROWTH_SHOWS_BACKING',
    'the grown range would show what the backing file holds there, and a version 2 image can not ' +
      'say that it reads as zeros',
    {
      structure: 'header',
      at: 4,
      ...hinted('make-version-3'),
    },
  );
}

function contentNeeded(why: string): QsnapError {
  return new QsnapError(
    'GROWTH_SHOWS_BACKING',
    `the disk ends inside a cluster whose rest would show, and ${why}`,
    hinted('resize-by-qemu-with-content'),
  );
}
