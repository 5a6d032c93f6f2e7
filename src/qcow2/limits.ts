import { GiB, MiB } from '../base/units.js';

/**
 * Every bound on what an image may claim, with its owner: the specification, QEMU (what QEMU 7.2
 * refuses, so do we, before allocating), or qsnap.
 */
export interface Limit {
  readonly value: number;
  readonly owner: 'spec' | 'qemu' | 'ours';
}

const spec = (value: number) => ({ value, owner: 'spec' }) as const satisfies Limit;
const qemu = (value: number) => ({ value, owner: 'qemu' }) as const satisfies Limit;
const ours = (value: number) => ({ value, owner: 'ours' }) as const satisfies Limit;

export const LIMITS = {
  clusterBitsMin: spec(9),
  clusterBitsMax: qemu(21),
  /** With extended L2 entries a subcluster is at least 512 bytes. */
  clusterBitsMinExtendedL2: spec(14),
  refcountOrderMax: spec(6),
  headerBytesMinV3: spec(104),
  backingNameBytesMax: spec(1023),
  l1BytesMax: qemu(32 * MiB),
  refcountTableBytesMax: qemu(8 * MiB),
  snapshotsMax: qemu(65_536),
  snapshotTableBytesMax: qemu(64 * MiB),
  snapshotExtraBytesMax: qemu(1024),
  /** QEMU shows at most this many bytes of a name and cuts longer ones silently. */
  snapshotNameBytesMax: qemu(255),
  snapshotIdBytesMax: qemu(127),
  bitmapsMax: qemu(65_535),
  bitmapDirectoryBytesMax: qemu(64 * MiB),
  bitmapTableEntriesMax: qemu(0x8000000),
  bitmapNameBytesMax: qemu(1023),
  encryptionHeaderBytesMax: ours(1 * GiB),
  /** Rounds of a key derivation; a minute or so. cryptsetup makes a few million. */
  luksIterationsMax: ours(2 ** 26),
  /** The LUKS1 specification's constant. QEMU takes no other. */
  luksStripes: spec(4000),
  /** Backing files below one image. */
  backingDepthMax: ours(200),
  /** Longest file with an image that is read where nobody can tell its holes: some ten seconds. */
  preallocationLookBytesMax: ours(16 * GiB),
  /** Clusters of the file: 64 TiB at 64 KiB clusters. A check or an edit takes some bits of memory for each. */
  hostClustersMax: ours(2 ** 30),
} as const satisfies Record<string, Limit>;
