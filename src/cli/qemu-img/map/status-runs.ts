/**
 * The runs in which QEMU walks over a disk: its tools decide run by run, and count their progress
 * in them. QEMU: block/io.c, bdrv_block_status_above, as measured with 7.2.
 */
import type { Extent, ExtentKind, GuestDisk } from '../../../index.js';
import { diskWith } from '../disks/disk-with.js';

/** A stretch of a disk about which QEMU is told one thing. */
export interface StatusRun {
  readonly start: number;
  readonly end: number;
  /** Reads as zeros. */
  readonly zero: boolean;
  /** A layer has something there, if only the note that it is zero. */
  readonly allocated: boolean;
  /** The layer of the chain that decides. */
  readonly depth: number;
  /** All that counts when two disks are compared strictly, as one word. */
  readonly status: string;
}

const DATA_KINDS: ReadonlySet<ExtentKind> = new Set(['data', 'preallocated', 'compressed']);

/** What of an L2 table QEMU looks at together. QEMU: docs/qcow2-cache.txt, l2-cache-entry-size. */
const SLICE_BYTES = 65536;

/**
 * All runs of a disk, ascending and without gaps: extents, cut where QEMU goes on to the next slice
 * of an L2 table, and at each compressed cluster.
 *
 * @param asked whether all layers are asked, or the first one alone.
 */
export async function* statusRuns(
  disk: GuestDisk,
  asked: 'all' | 'first',
): AsyncGenerator<StatusRun> {
  const diskBytes = await disk.sizeBytes();
  const layers = asked === 'all' ? [disk, ...disk.chain] : [disk];
  const lowestBytes = await layers.at(-1)!.sizeBytes();
  const options = { layers: asked === 'all' ? 'apart' : 'own' } as const;
  for await (const batch of disk.extents(0, diskBytes, options)) {
    for (const extent of batch) yield* runsOf(extent, layers, [diskBytes, lowestBytes]);
  }
}

function* runsOf(
  extent: Extent,
  layers: readonly GuestDisk[],
  [diskBytes, lowestBytes]: readonly [number, number],
): Generator<StatusRun> {
  const { kind, depth } = extent;
  const layer = layers[depth]!;
  const isData = DATA_KINDS.has(kind);
  // What a layer that is too short leaves out counts as its own zeros, which lie nowhere.
  const isLeftOut = kind === 'unallocated' && depth < layers.length - 1;
  const hasPlace = extent.at !== undefined && !isLeftOut && !layer.encrypted;
  const allocated = kind !== 'unallocated' || isLeftOut;
  const zero = !isData || kind === 'preallocated';
  const words = [isData && 'data', zero && 'zero', hasPlace && 'placed', allocated && 'allocated'];
  const status = words.filter((word) => word !== false).join(' ');
  for (const { start, end } of toldAtOnce(extent, layers)) {
    // QEMU tells also whether the disk ends there, or the lowest one that says nothing of it.
    const isLast = end === diskBytes || (!allocated && end === lowestBytes);
    const told = isLast ? `${status} last` : status;
    yield { start, end, zero, allocated, depth, status: told };
  }
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

function* toldAtOnce(extent: Extent, layers: readonly GuestDisk[]): Generator<Stretch> {
  const { start, length, kind, depth } = extent;
  const steps = layers.slice(0, depth + 1).map(sliceCoverage);
  if (kind === 'compressed') steps.push(layers[depth]!.clusterBytes);
  const end = start + length;
  for (let from = start; from < end;) {
    const to = Math.min(end, ...steps.map((step) => nextMultiple(from, step)));
    yield { start: from, end: to };
    from = to;
  }
}

/** Extents that one batch of `cutAsRead` has at most. */
const BATCH_EXTENTS = 4096;

/**
 * The same disk with its data and zeros cut as QEMU takes them for a copy: by the runs of
 * `statusRuns`, which do not go on into a cluster that they cover only a part of. QEMU looks for zeros
 * in each on its own.
 * QEMU: qemu-img.c, convert_iteration_sectors.
 */
export function cutAsRead(disk: GuestDisk): GuestDisk {
  const layers = [disk, ...disk.chain];
  return diskWith(disk, {
    extents: async function* (from, to) {
      let extents: Extent[] = [];
      for await (const batch of disk.extents(from, to, { layers: 'apart' })) {
        for (const extent of batch) {
          for (const { start, end } of readAtOnce(extent, layers)) {
            const { at } = extent;
            const place = at === undefined ? {} : { at: at + start - extent.start };
            extents.push({ ...extent, ...place, start, length: end - start });
            if (extents.length < BATCH_EXTENTS) continue;
            yield extents;
            extents = [];
          }
        }
      }
      if (extents.length > 0) yield extents;
    },
  });
}

function* readAtOnce(extent: Extent, layers: readonly GuestDisk[]): Generator<Stretch> {
  const { start, length, kind } = extent;
  const { clusterBytes } = layers[0]!;
  const isCut = DATA_KINDS.has(kind) || kind === 'zero';
  for (const run of isCut ? toldAtOnce(extent, layers) : [{ start, end: start + length }]) {
    const end = endOfAnswer(run, clusterBytes);
    yield { start: run.start, end };
    if (end < run.end) yield { start: end, end: run.end };
  }
}

/**
 * Where QEMU takes a run to end when it copies: at the last end of a cluster in it, if there is one.
 *
 * @param clusterBytes 0 for a raw disk, which has none.
 */
export function endOfAnswer({ start, end }: Stretch, clusterBytes: number): number {
  const whole = clusterBytes === 0 ? end : end - (end % clusterBytes);
  return whole > start ? whole : end;
}

/** A raw disk has no tables. */
function sliceCoverage({ clusterBytes, l2EntryBytes }: GuestDisk): number {
  if (l2EntryBytes === 0) return 0;
  return (Math.min(SLICE_BYTES, clusterBytes) / l2EntryBytes) * clusterBytes;
}

function nextMultiple(from: number, step: number): number {
  return step === 0 ? Infinity : (Math.floor(from / step) + 1) * step;
}
