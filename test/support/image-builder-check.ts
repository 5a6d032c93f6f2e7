/**
 * A plain check of a whole image: counts every reference anew, one L1 table after the other, and
 * compares with what is stored. It shares no code with the engine.
 */
import {
  blockEntries,
  COMPRESSED_BIT,
  compressedClusters,
  COPIED_BIT,
  layoutOf,
  OFFSET_MASK,
  refcountAt,
  refcountOf,
  snapshotsOf,
  u16,
  u32,
  u64,
  ZERO_BIT,
  type PlainLayout,
} from './image-builder-layout.js';

/** Each finding is a line of text. A sound image has none. */
export interface PlainReport {
  /** Refcounts too low, entries that point where they can't, COPIED flags that lie. */
  readonly corruptions: readonly string[];
  /** Refcounts too high: one line a host cluster. QEMU overlooks those past the end of the file. */
  readonly leaks: readonly string[];
}

/** Counts and judges while an image is walked. */
interface Walk {
  readonly bytes: Uint8Array;
  readonly layout: PlainLayout;
  readonly counts: Map<number, number>;
  readonly corruptions: Set<string>;
  /** By host offset of an L2 table: the clusters that its entries refer to. */
  readonly tables: Map<number, readonly number[]>;
}

/** Checks an image of any content: what can't be read is a corruption, never an exception. */
export function checkImage(bytes: Uint8Array): PlainReport {
  const corruptions = new Set<string>();
  const leaks: string[] = [];
  try {
    const layout = layoutOf(bytes);
    if (u32(bytes, 0) !== 0x514649fb) throw new RangeError('no qcow2 magic');
    if (layout.clusterBits < 9 || layout.clusterBits > 21) throw new RangeError('cluster_bits');
    const walk: Walk = { bytes, layout, counts: new Map(), corruptions, tables: new Map() };
    countEverything(walk);
    compareRefcounts(walk, leaks);
    checkCopied(walk);
  } catch (error) {
    corruptions.add(`unreadable: ${String(error)}`);
  }
  return { corruptions: [...corruptions], leaks };
}

/** Host clusters of the file that something refers to. Throws where tables can't be read. */
export function referencedClusters(bytes: Uint8Array): ReadonlySet<number> {
  const layout = layoutOf(bytes);
  const counts = new Map<number, number>();
  countEverything({ bytes, layout, counts, corruptions: new Set(), tables: new Map() });
  return new Set([...counts.keys()].filter((one) => one * layout.clusterBytes < bytes.length));
}

/** Host clusters of the file with a refcount. Throws where refcounts can't be read. */
export function countedClusters(bytes: Uint8Array): ReadonlySet<number> {
  const layout = layoutOf(bytes);
  const clusters = Array.from(
    { length: Math.ceil(bytes.length / layout.clusterBytes) },
    (_, i) => i,
  );
  return new Set(clusters.filter((cluster) => refcountOf(bytes, layout, cluster) > 0n));
}

function countEverything(walk: Walk): void {
  const { bytes, layout } = walk;
  const { clusterBytes } = layout;
  countRegion(walk, 'header', 0, clusterBytes);
  const tableBytes = layout.refcountTableClusters * clusterBytes;
  countRegion(walk, 'refcount table', layout.refcountTableAt, tableBytes);
  for (let i = 0; i < tableBytes / 8; i++) {
    const at = Number(u64(bytes, layout.refcountTableAt + i * 8) & OFFSET_MASK);
    if (at !== 0) countRegion(walk, 'refcount block', at, clusterBytes);
  }
  const { snapshots, tableBytes: snapshotBytes } = snapshotsOf(bytes);
  countRegion(walk, 'snapshot table', layout.snapshotTableAt, snapshotBytes);
  countL1(walk, layout.l1At, layout.l1Entries);
  for (const { id, l1At, l1Entries, extraBytes } of snapshots) {
    countL1(walk, l1At, l1Entries);
    if (layout.version >= 3 && extraBytes < 16) {
      walk.corruptions.add(`snapshot ${id} lacks the extra data that version 3 asks for`);
    }
  }
  for (const extension of layout.extensions) {
    if (extension.type === 0x0537be77) {
      const [at, length] = [u64(bytes, extension.at), u64(bytes, extension.at + 8)];
      countRegion(walk, 'LUKS header', Number(at), Number(length));
    }
    if (extension.type === 0x23852875 && layout.bitmapsValid) countBitmaps(walk, extension.at);
  }
}

function countBitmaps(walk: Walk, extensionAt: number): void {
  const { bytes, layout } = walk;
  const count = u32(bytes, extensionAt);
  const directoryBytes = Number(u64(bytes, extensionAt + 8));
  let at = Number(u64(bytes, extensionAt + 16));
  countRegion(walk, 'bitmap directory', at, directoryBytes);
  for (let i = 0; i < count; i++) {
    const tableAt = Number(u64(bytes, at));
    const entries = u32(bytes, at + 8);
    countRegion(walk, 'bitmap table', tableAt, entries * 8);
    for (let entry = 0; entry < entries; entry++) {
      const dataAt = Number(u64(bytes, tableAt + entry * 8) & OFFSET_MASK);
      if (dataAt !== 0) countRegion(walk, 'bitmap data', dataAt, layout.clusterBytes);
    }
    at += Math.ceil((24 + u16(bytes, at + 18) + u32(bytes, at + 20)) / 8) * 8;
  }
}

function countL1(walk: Walk, l1At: number, l1Entries: number): void {
  const { bytes, layout } = walk;
  countRegion(walk, 'L1 table', l1At, l1Entries * 8);
  for (let i = 0; i < l1Entries; i++) {
    const l2At = Number(u64(bytes, l1At + i * 8) & OFFSET_MASK);
    if (l2At === 0) continue;
    if (!countRegion(walk, 'L2 table', l2At, layout.clusterBytes)) continue;
    let targets = walk.tables.get(l2At);
    if (targets === undefined) {
      targets = targetsOf(walk, l2At);
      walk.tables.set(l2At, targets);
    }
    for (const cluster of targets) addReference(walk, cluster);
  }
}

/** Clusters that the entries of an L2 table refer to, once for each reference. */
function targetsOf(walk: Walk, l2At: number): readonly number[] {
  const { layout, corruptions, bytes } = walk;
  const targets: number[] = [];
  for (const { at, entry } of l2EntriesOf(bytes, layout, l2At)) {
    const fault = faultOf(walk, entry, at);
    if (fault !== undefined) {
      corruptions.add(`the L2 entry at ${at} ${fault}`);
      continue;
    }
    if ((entry & COMPRESSED_BIT) !== 0n) {
      const { first, last } = compressedClusters(entry, layout);
      for (let cluster = first; cluster <= last; cluster++) targets.push(cluster);
      continue;
    }
    const dataAt = Number(entry & OFFSET_MASK);
    if (dataAt !== 0 && !layout.externalDataFile) targets.push(dataAt / layout.clusterBytes);
  }
  return targets;
}

/** The entries of an L2 table that are not all zero. */
export function* l2EntriesOf(
  bytes: Uint8Array,
  layout: PlainLayout,
  l2At: number,
): Generator<{ index: number; at: number; entry: bigint; bitmap: bigint }> {
  const entryBytes = layout.extendedL2 ? 16 : 8;
  for (let index = 0; index < layout.clusterBytes / entryBytes; index++) {
    const at = l2At + index * entryBytes;
    const words = layout.extendedL2 ? [0, 4, 8, 12] : [0, 4];
    if (words.every((word) => u32(bytes, at + word) === 0)) continue;
    const bitmap = layout.extendedL2 ? u64(bytes, at + 8) : 0n;
    yield { index, at, entry: u64(bytes, at), bitmap };
  }
}

function faultOf(walk: Walk, entry: bigint, at: number): string | undefined {
  const { bytes, layout } = walk;
  const end = Math.ceil(bytes.length / layout.clusterBytes);
  if ((entry & COMPRESSED_BIT) !== 0n) {
    if ((entry & COPIED_BIT) !== 0n) return 'is compressed and has the COPIED flag';
    if (layout.externalDataFile) return 'is compressed beside an external data file';
    const { first, last } = compressedClusters(entry, layout);
    return first < 1 || last >= end ? 'lies outside the file' : undefined;
  }
  const zeroAllowed = layout.version >= 3 && !layout.extendedL2 ? ZERO_BIT : 0n;
  if ((entry & ~(COPIED_BIT | OFFSET_MASK | zeroAllowed)) !== 0n) return 'has reserved bits';
  if (layout.extendedL2) {
    const bitmap = u64(bytes, at + 8);
    if ((bitmap & (bitmap >> 32n) & 0xffff_ffffn) !== 0n) return 'is both allocated and zero';
    const holdsData = (bitmap & 0xffff_ffffn) !== 0n;
    if (holdsData && (entry & OFFSET_MASK) === 0n) return 'has data and no host cluster';
  }
  const dataAt = Number(entry & OFFSET_MASK);
  if (dataAt % layout.clusterBytes !== 0) return 'is not aligned to clusters';
  if (layout.externalDataFile) return undefined;
  return dataAt >= end * layout.clusterBytes ? 'lies outside the file' : undefined;
}

/** Adds a reference to every cluster of a region; false, and a finding, where it can't lie there. */
function countRegion(walk: Walk, what: string, at: number, length: number): boolean {
  const { bytes, layout, corruptions } = walk;
  if (length === 0) return true;
  if (at % layout.clusterBytes !== 0) {
    corruptions.add(`the ${what} at ${at} is not aligned to clusters`);
    return false;
  }
  const end = Math.ceil(bytes.length / layout.clusterBytes);
  const last = Math.ceil((at + length) / layout.clusterBytes);
  if (last > end) {
    corruptions.add(`the ${what} at ${at} of ${length} bytes lies outside the file`);
    return false;
  }
  for (let cluster = at / layout.clusterBytes; cluster < last; cluster++) {
    addReference(walk, cluster);
  }
  return true;
}

function addReference({ counts }: Walk, cluster: number): void {
  counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
}

function compareRefcounts(walk: Walk, leaks: string[]): void {
  const { bytes, layout, counts, corruptions } = walk;
  const entries = blockEntries(layout);
  for (const [cluster, counted] of counts) {
    const stored = refcountOf(bytes, layout, cluster);
    if (stored < BigInt(counted)) {
      corruptions.add(`cluster ${cluster} has refcount ${stored} and ${counted} references`);
    }
  }
  for (let i = 0; i < (layout.refcountTableClusters * layout.clusterBytes) / 8; i++) {
    const block = Number(u64(bytes, layout.refcountTableAt + i * 8) & OFFSET_MASK);
    if (block === 0 || block + layout.clusterBytes > bytes.length) continue;
    for (let index = 0; index < entries; index++) {
      const byte = block + Math.floor((index * layout.refcountBits) / 8);
      // Whole words of zeros are passed over: most of a block is empty.
      if (byte % 8 === 0 && u32(bytes, byte) === 0 && u32(bytes, byte + 4) === 0) {
        index += 64 / layout.refcountBits - 1;
        continue;
      }
      const stored = refcountAt(bytes, block, layout.refcountBits, index);
      const counted = counts.get(i * entries + index) ?? 0;
      if (stored > BigInt(counted)) {
        const cluster = i * entries + index;
        const past = cluster * layout.clusterBytes >= bytes.length ? ', past the end' : '';
        leaks.push(`cluster ${cluster} has refcount ${stored} for ${counted}${past}`);
      }
    }
  }
}

/** On the active tables COPIED is set where, and only where, the refcount is one. */
function checkCopied(walk: Walk): void {
  const { bytes, layout, corruptions } = walk;
  const judge = (what: string, at: number, entry: bigint): void => {
    const cluster = Number(entry & OFFSET_MASK) / layout.clusterBytes;
    const one = refcountOf(bytes, layout, cluster) === 1n;
    if (one === ((entry & COPIED_BIT) !== 0n)) return;
    corruptions.add(`COPIED is ${one ? 'missing' : 'set'} in the ${what} entry at ${at}`);
  };
  for (let i = 0; i < layout.l1Entries; i++) {
    const at = layout.l1At + i * 8;
    const l1 = u64(bytes, at);
    const l2At = Number(l1 & OFFSET_MASK);
    if (l2At === 0) continue;
    judge('L1', at, l1);
    if (!walk.tables.has(l2At) || layout.externalDataFile) continue;
    for (const { at: entryAt, entry } of l2EntriesOf(bytes, layout, l2At)) {
      if ((entry & COMPRESSED_BIT) !== 0n || (entry & OFFSET_MASK) === 0n) continue;
      judge('L2', entryAt, entry);
    }
  }
}
