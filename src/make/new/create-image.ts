import { HIGH_WORD, bytesOfWords } from '../../base/words.js';
import { batched } from '../../io/batched.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { refuseUsedFile } from '../../io/new-device.js';
import { COPIED } from '../../l1l2/entry.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { encodeRefcounts } from '../../refcount/block.js';
import { encodeFirstCluster, type NewHeader } from './first-cluster.js';
import { padded, zerosAt } from './guest-pieces.js';
import { geometryOfNew } from './new-image.js';
import { placeEmptyImage, type DataRun, type EmptyImage } from './place-empty.js';
import type { QemuPlacement } from './qemu-placement.js';
import { checkCreateOptions, type CreateImageOptions } from './create-options.js';

const FIRST_SECTOR_BYTES = 512;

/**
 * Makes an empty image, with the bytes that `qemu-img create` of QEMU 7.2 writes. The header comes
 * last: until then the file is no image.
 *
 * ```ts
 * const device = await createNewFile('new.qcow2');
 * await createImage(device, {
 *   diskSizeBytes: 2 ** 30,
 *   version: 3,
 *   clusterBytes: 65536,
 *   refcountBits: 16,
 *   extendedL2: false,
 *   lazyRefcounts: false,
 *   compressionType: 'zlib',
 * });
 * await device.close();
 * ```
 *
 * @param device empty, or a block device: what lies in it is lost.
 * @throws QsnapError NEW_IMAGE_INVALID; OUTPUT_EXISTS for a file that is not empty; LIMIT_EXCEEDED; WRITE_FAILED, NO_SPACE.
 */
export async function createImage(device: BlockDevice, options: CreateImageOptions): Promise<void> {
  checkCreateOptions(options);
  const geometry = geometryOfNew(options);
  const image = placeEmptyImage(geometry, options);
  await refuseUsedFile(device, 'a new image');
  if ((await device.sizeBytes()) > 0) {
    await device.writeBatch([{ at: 0, bytes: new Uint8Array(FIRST_SECTOR_BYTES) }]);
    await device.flush();
  }
  const { placement, l1Cluster } = image;
  const { clusterBytes } = geometry;
  const header: NewHeader = {
    geometry,
    activeL1: {
      at: l1Cluster * clusterBytes,
      entries: l1EntriesFor(options.diskSizeBytes, geometry),
    },
    refcountTable: {
      at: placement.table.cluster * clusterBytes,
      clusters: placement.table.clusters,
    },
    dataFile: options.dataFile,
    keysAt: image.keysCluster * clusterBytes,
  };
  const isZeroed = (options.preallocation ?? 'off') === 'off' || device.growable;
  const mustWrite = options.preallocation === 'falloc' || options.preallocation === 'full';
  if (mustWrite || !isZeroed) await writeZeros(device, image, clusterBytes);
  for (const batch of batched(tableWrites(image, geometry))) await device.writeBatch(batch);
  const keys = options.encryption?.keys ?? new Uint8Array(0);
  await device.writeBatch(padded(image.keysCluster * clusterBytes, keys, clusterBytes));
  await publish(device, encodeFirstCluster(options, header), clusterBytes);
}

/** The header's first sector comes last, when all else is on the medium. */
async function publish(
  device: BlockDevice,
  first: Uint8Array,
  clusterBytes: number,
): Promise<void> {
  const cluster = new Uint8Array(clusterBytes);
  cluster.set(first);
  if (clusterBytes > FIRST_SECTOR_BYTES) {
    const rest = cluster.subarray(FIRST_SECTOR_BYTES);
    await device.writeBatch([{ at: FIRST_SECTOR_BYTES, bytes: rest }]);
  }
  await device.flush();
  await device.writeBatch([{ at: 0, bytes: cluster.subarray(0, FIRST_SECTOR_BYTES) }]);
  await device.flush();
}

/** Room on the medium for the guest's clusters. */
async function writeZeros(
  device: BlockDevice,
  { runs, hasOwnData }: EmptyImage,
  clusterBytes: number,
): Promise<void> {
  if (!hasOwnData) return;
  const requests = function* (): Generator<WriteRequest> {
    for (const { host, clusters } of runs) {
      yield* zerosAt(host * clusterBytes, (host + clusters) * clusterBytes);
    }
  };
  for (const batch of batched(requests())) await device.writeBatch(batch);
}

function* tableWrites(image: EmptyImage, geometry: Geometry): Generator<WriteRequest> {
  const { placement, l1Cluster, l2Clusters, l1Entries, endBytes } = image;
  const { clusterBytes } = geometry;
  if (endBytes > 0) yield { at: endBytes - 1, bytes: new Uint8Array(1) };
  const reused = new Set([l1Cluster, ...l2Clusters]);
  // QEMU leaves old tables as they are. Where guest data lies in their place now they would show on
  // the new disk, as they do there; here they don't.
  for (const { cluster, clusters, blocks } of placement.leftTables) {
    const bytes = encodeTable(blocks, clusterBytes);
    for (let i = 0; i < clusters; i += 1) {
      if (reused.has(cluster + i) || image.isData(cluster + i)) continue;
      const at = (cluster + i) * clusterBytes;
      yield { at, bytes: bytes.subarray(i * clusterBytes, (i + 1) * clusterBytes) };
    }
  }
  const { table } = placement;
  yield { at: table.cluster * clusterBytes, bytes: encodeTable(table.blocks, clusterBytes) };
  yield* blockWrites(placement, geometry);
  if (l1Entries > 0) {
    const l1 = new Uint32Array(l1Entries * 2);
    l2Clusters.forEach((cluster, index) => {
      l1.set(pointerTo(cluster * clusterBytes), index * 2);
    });
    yield { at: l1Cluster * clusterBytes, bytes: bytesOfWords(l1) };
  }
  yield* l2Writes(image, geometry);
}

function pointerTo(at: number): readonly [high: number, low: number] {
  return [(COPIED | Math.floor(at / HIGH_WORD)) >>> 0, at >>> 0];
}

function encodeTable(blocks: readonly number[], clusterBytes: number): Uint8Array {
  const words = new Uint32Array(blocks.length * 2);
  blocks.forEach((cluster, index) => {
    const at = cluster * clusterBytes;
    words[2 * index] = Math.floor(at / HIGH_WORD);
    words[2 * index + 1] = at >>> 0;
  });
  return bytesOfWords(words);
}

function* blockWrites(placement: QemuPlacement, geometry: Geometry): Generator<WriteRequest> {
  const { clusterBytes, refcountBits, refcountBlockEntries } = geometry;
  const counts = new Uint16Array(refcountBlockEntries);
  for (const [block, cluster] of placement.table.blocks.entries()) {
    if (cluster === 0) continue;
    placement.readCounts(block * refcountBlockEntries, counts);
    const bytes = new Uint8Array(clusterBytes);
    encodeRefcounts(counts, refcountBits, bytes);
    yield { at: cluster * clusterBytes, bytes };
  }
}

/** Each L2 table with what the runs put into it. */
function* l2Writes({ l2Clusters, runs }: EmptyImage, geometry: Geometry): Generator<WriteRequest> {
  const { clusterBytes, l2Entries, l2EntryBytes } = geometry;
  const step = l2EntryBytes / 4;
  let next = 0;
  for (const [l1Index, cluster] of l2Clusters.entries()) {
    const words = new Uint32Array(clusterBytes / 4);
    const first = l1Index * l2Entries;
    for (let run: DataRun | undefined; (run = runs[next]) !== undefined; next += 1) {
      if (run.guest >= first + l2Entries) break;
      for (let i = 0; i < run.clusters; i += 1) {
        words.set(pointerTo((run.host + i) * clusterBytes), (run.guest + i - first) * step);
      }
    }
    yield { at: cluster * clusterBytes, bytes: bytesOfWords(words) };
  }
}
