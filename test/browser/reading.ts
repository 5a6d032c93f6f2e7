/** All that is asked of an image, the same in Node and in a page. */
import {
  backingName,
  checkImage,
  openGuestDisk,
  openImage,
  type BlockSource,
  type Gate,
  type GuestDiskOptions,
  type OpenImage,
  type NewHasher,
  type Snapshot,
} from '../../src/index.js';

/** What is in an image; plain values, so that a page can give it to Node. */
export interface Reading {
  readonly snapshots: readonly { readonly id: string; readonly name: string }[];
  /** Codes of what a check finds, and how many host clusters it counts. */
  readonly findings: readonly string[];
  readonly clusters: number;
  /** SHA-256 of the active disk, and of each snapshot's. */
  readonly disks: readonly string[];
}

/** Bytes that are read at a time: no multiple of a cluster, so that clusters are read in parts, too. */
const STEP_BYTES = 1_000_000;

/** Lists, checks and reads an image with all its disks. */
export async function readImage(
  source: BlockSource,
  options: GuestDiskOptions,
  newSha256: NewHasher,
): Promise<Reading> {
  const image = await openImage(source);
  const { findings, totals } = await checkImage(source);
  const disks: string[] = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    disks.push(await hashOf(image, snapshot, options, newSha256));
  }
  return {
    snapshots: image.snapshots.map(({ id, name }) => ({ id, name })),
    findings: findings.map(({ code }) => code),
    clusters: totals.totalClusters,
    disks,
  };
}

async function hashOf(
  image: OpenImage,
  snapshot: Snapshot | undefined,
  options: GuestDiskOptions,
  newSha256: NewHasher,
): Promise<string> {
  const disk = await openGuestDisk(image, { ...options, snapshot });
  const sizeBytes = await disk.sizeBytes();
  const hasher = newSha256();
  for (let at = 0; at < sizeBytes; at += STEP_BYTES) {
    const into = new Uint8Array(Math.min(STEP_BYTES, sizeBytes - at));
    await disk.readBatch([{ at, into }]);
    hasher.update(into);
  }
  await disk.close();
  return hasher.digest();
}

/** A gate to the files that a page was given: an image may name any of them, and nothing else. */
export function gateTo(open: (name: string) => Promise<BlockSource>): Gate {
  return {
    openBacking: async (image) => {
      const name = backingName(image)!;
      return { source: await open(name), format: undefined, identity: name };
    },
    openDataFile: () => Promise.reject(new Error('none of the images has a data file')),
  };
}
