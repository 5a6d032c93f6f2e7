import { roundUp } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import type { WriteRequest } from '../../io/device.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { encodeRefcounts } from '../../refcount/block.js';
import type { HostClusters } from './host-clusters.js';

/** Where the refcounts of a new image lie: the table first, its blocks behind it. */
export interface RefcountArea {
  readonly at: number;
  readonly tableClusters: number;
  readonly blocks: number;
}

/**
 * Takes clusters for a refcount table and blocks that count every cluster, themselves included.
 *
 * @throws QsnapError LIMIT_EXCEEDED when the table would be longer than QEMU reads.
 */
export function appendRefcountArea(clusters: HostClusters, geometry: Geometry): RefcountArea {
  const { clusterBytes, refcountBlockEntries } = geometry;
  let blocks = 0;
  let tableClusters = 0;
  for (;;) {
    const all = clusters.length + tableClusters + blocks;
    const neededBlocks = Math.ceil(all / refcountBlockEntries);
    const neededTable = Math.ceil((neededBlocks * 8) / clusterBytes);
    if (neededBlocks === blocks && neededTable === tableClusters) break;
    blocks = neededBlocks;
    tableClusters = neededTable;
  }
  const most = LIMITS.refcountTableBytesMax.value;
  if (tableClusters * clusterBytes > most) {
    throw new QsnapError('LIMIT_EXCEEDED', `the refcount table would take ${blocks * 8} bytes`, {
      structure: 'refcount table',
      expected: `at most ${most}`,
      hint: 'larger clusters or narrower refcounts make a larger file possible',
    });
  }
  return { at: clusters.append(tableClusters + blocks), tableClusters, blocks };
}

/** Blocks that are written at a time. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** The bytes of the area in batches, ascending. */
export function* refcountWrites(
  area: RefcountArea,
  counts: Uint16Array,
  geometry: Geometry,
): Generator<WriteRequest[]> {
  const { clusterBytes, refcountBits, refcountBlockEntries } = geometry;
  const blocksAt = area.at + area.tableClusters * clusterBytes;
  const table = new Uint8Array(area.tableClusters * clusterBytes);
  const view = new DataView(table.buffer);
  for (let block = 0; block < area.blocks; block += 1) {
    const at = blocksAt + block * clusterBytes;
    view.setUint32(block * 8, Math.floor(at / 2 ** 32));
    view.setUint32(block * 8 + 4, at >>> 0);
  }
  yield [{ at: area.at, bytes: table }];
  const blocksABatch = Math.max(1, Math.floor(BATCH_BYTES / clusterBytes));
  for (let first = 0; first < area.blocks; first += blocksABatch) {
    const blocks = Math.min(blocksABatch, area.blocks - first);
    const from = first * refcountBlockEntries;
    const bytes = new Uint8Array(roundUp(blocks * clusterBytes, 8));
    encodeRefcounts(
      counts.subarray(from, from + blocks * refcountBlockEntries),
      refcountBits,
      bytes,
    );
    yield [{ at: blocksAt + first * clusterBytes, bytes }];
  }
}
