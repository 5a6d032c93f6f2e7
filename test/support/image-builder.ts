/**
 * Images made from nothing, in plain code that shares none with the engine: built, written by a
 * simple guest, read and checked. The entry for tests; the parts lie in `image-builder-*.ts`.
 */
import { blockEntries, layoutOf, putRefcountAt, putU32, putU64 } from './image-builder-layout.js';

export { checkImage } from './image-builder-check.js';
export {
  cellBytesOf,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  readGuest,
} from './image-builder-guest.js';
export { layoutOf, snapshotsOf } from './image-builder-layout.js';
export type { PlainDisk } from './image-builder-layout.js';

export interface BuildOptions {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Refcounts are 2^refcountOrder bits wide; version 2 knows only 4. */
  readonly refcountOrder: number;
  /** Needs version 3 and clusters of 16 KiB. */
  readonly extendedL2: boolean;
  readonly diskSizeBytes: number;
}

/** What an image has where a test does not say otherwise: its disk has 64 clusters. */
const USUAL: BuildOptions = {
  version: 3,
  clusterBits: 12,
  refcountOrder: 4,
  extendedL2: false,
  diskSizeBytes: 2 ** 18,
};

/** An image with an empty disk and no snapshots: header, refcount table, one block, L1 table. */
export function buildImage(options: Partial<BuildOptions> = {}): Uint8Array {
  const { version, clusterBits, refcountOrder, extendedL2, diskSizeBytes } = {
    ...USUAL,
    ...options,
  };
  const clusterBytes = 2 ** clusterBits;
  const l2Coverage = (clusterBytes / (extendedL2 ? 16 : 8)) * clusterBytes;
  const l1Entries = Math.max(1, Math.ceil(diskSizeBytes / l2Coverage));
  const clusters = 3 + Math.ceil((l1Entries * 8) / clusterBytes);
  const bytes = new Uint8Array(clusters * clusterBytes);
  putU32(bytes, 0, 0x514649fb);
  putU32(bytes, 4, version);
  putU32(bytes, 20, clusterBits);
  putU64(bytes, 24, BigInt(diskSizeBytes));
  putU32(bytes, 36, l1Entries);
  putU64(bytes, 40, BigInt(3 * clusterBytes));
  putU64(bytes, 48, BigInt(clusterBytes));
  putU32(bytes, 56, 1);
  if (version === 3) {
    putU64(bytes, 72, extendedL2 ? 16n : 0n);
    putU32(bytes, 96, refcountOrder);
    putU32(bytes, 100, 104);
  }
  putU64(bytes, clusterBytes, BigInt(2 * clusterBytes));
  const layout = layoutOf(bytes);
  if (clusters > blockEntries(layout)) throw new RangeError('one refcount block is not enough');
  for (let cluster = 0; cluster < clusters; cluster++) {
    putRefcountAt(bytes, 2 * clusterBytes, layout.refcountBits, cluster, 1n);
  }
  return bytes;
}
