/**
 * The runs in which QEMU walks over a disk: its tools decide run by run, and count their progress
 * in them. QEMU: block/io.c, bdrv_block_status_above, as measured with 7.2.
 */
import type { Extent, GuestDisk } from '../../index.js';

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
  const { start, length, kind, depth } = extent;
  const steps = layers.slice(0, depth + 1).map(sliceCoverage);
  const layer = layers[depth]!;
  if (kind === 'compressed') steps.push(layer.clusterBytes);
  const isData = kind === 'data' || kind === 'preallocated' || kind === 'compressed';
  // What a layer that is too short leaves out counts as its own zeros, which lie nowhere.
  const isLeftOut = kind === 'unallocated' && depth < layers.length - 1;
  const hasPlace = extent.at !== undefined && !isLeftOut && !layer.encrypted;
  const allocated = kind !== 'unallocated' || isLeftOut;
  const zero = !isData || kind === 'preallocated';
  const words = [isData && 'data', zero && 'zero', hasPlace && 'placed', allocated && 'allocated'];
  const status = words.filter((word) => word !== false).join(' ');
  const end = start + length;
  for (let from = start; from < end;) {
    const to = Math.min(end, ...steps.map((step) => nextMultiple(from, step)));
    // QEMU tells also whether the disk ends there, or the lowest one that says nothing of it.
    const isLast = to === diskBytes || (!allocated && to === lowestBytes);
    const told = isLast ? `${status} last` : status;
    yield { start: from, end: to, zero, allocated, depth, status: told };
    from = to;
  }
}

/** A raw disk has no tables. */
function sliceCoverage({ clusterBytes, l2EntryBytes }: GuestDisk): number {
  if (l2EntryBytes === 0) return 0;
  return (Math.min(SLICE_BYTES, clusterBytes) / l2EntryBytes) * clusterBytes;
}

function nextMultiple(from: number, step: number): number {
  return step === 0 ? Infinity : (Math.floor(from / step) + 1) * step;
}
