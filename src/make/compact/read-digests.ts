import { throwIfAborted } from '../../base/abort.js';
import { isZero } from '../../base/bytes.js';
import { MiB } from '../../base/units.js';
import { newIoBytes } from '../../base/io-bytes.js';
import type { OpenImage } from '../../image/image.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { GuestDisk } from '../../read/guest/disk.js';
import { openGuestDisk } from '../../read/guest/open-guest-disk.js';
import type { CompactDisk, CompactOptions } from './compact-options.js';

/** Guest bytes that are read and hashed together. */
const BLOCK_BYTES = MiB;

/** What content is read and hashed with. */
export type ReadDigestOptions = Pick<
  CompactOptions,
  'newHasher' | 'decompressor' | 'cryptography' | 'passphrase' | 'signal'
>;

/**
 * Hashes what each disk holds, and its VM state, as a reader sees them: independent of clusters and tables. Over a
 * backing file it also counts which stretches are left to that.
 *
 * @throws QsnapError what reading guest data throws, ABORTED.
 */
export async function digestByReading(
  image: OpenImage,
  snapshots: readonly (Snapshot | undefined)[],
  options: ReadDigestOptions,
): Promise<readonly CompactDisk[]> {
  const disks: CompactDisk[] = [];
  for (const snapshot of snapshots) {
    const diskSizeBytes = snapshot?.diskSizeBytes ?? image.header.diskSizeBytes;
    const { l2CoverageBytes } = image.geometry;
    const end = l1EntriesFor(diskSizeBytes, image.geometry) * l2CoverageBytes;
    const mapped = (snapshot?.l1.entries ?? 0) * l2CoverageBytes - end;
    const vmStateBytes = Math.max(0, Math.min(snapshot?.vmStateBytes ?? 0, mapped));
    const disk = await openWithVmState(image, snapshot, end + vmStateBytes, options);
    try {
      const hash = (from: number, to: number): Promise<string> =>
        hashRange(disk, from, to, image.backingNameBytes !== undefined, options);
      disks.push({
        ...{ snapshot, diskSizeBytes },
        contentHash: await hash(0, diskSizeBytes),
        vmStateHash: vmStateBytes === 0 ? undefined : await hash(end, end + vmStateBytes),
      });
    } finally {
      await disk.close();
    }
  }
  return disks;
}

/** The disk as if it went on to the end of its VM state. */
function openWithVmState(
  image: OpenImage,
  snapshot: Snapshot | undefined,
  diskSizeBytes: number,
  { decompressor, cryptography, passphrase }: ReadDigestOptions,
): Promise<GuestDisk> {
  const options = { decompressor, cryptography, passphrase };
  if (snapshot === undefined) return openGuestDisk(image, options);
  const longer = { ...snapshot, diskSizeBytes };
  const snapshots = image.snapshots.map((one) => (one.index === snapshot.index ? longer : one));
  return openGuestDisk({ ...image, snapshots }, { ...options, snapshot: longer });
}

async function hashRange(
  disk: GuestDisk,
  from: number,
  to: number,
  hasBacking: boolean,
  { newHasher, signal }: ReadDigestOptions,
): Promise<string> {
  const hasher = newHasher();
  const memory = newIoBytes(BLOCK_BYTES);
  let block = -1;
  let isUsed = false;
  const flush = (): void => {
    if (isUsed && !isZero(memory)) {
      hasher.update(textBytes(`${block}:`));
      hasher.update(memory);
    }
    if (isUsed) memory.fill(0);
    isUsed = false;
  };
  // Where stretches of the backing file begin and end, joined.
  const borders: number[] = [];
  for await (const extents of disk.extents(from, to, { layers: 'own' })) {
    for (const { kind, start, length } of extents) {
      throwIfAborted(signal, 'the comparison');
      if (kind === 'unallocated') {
        if (hasBacking && borders.at(-1) === start - from) borders.pop();
        else if (hasBacking) borders.push(start - from);
        if (hasBacking) borders.push(start - from + length);
      }
      if (kind !== 'data' && kind !== 'compressed') continue;
      for (let at = start; at < start + length;) {
        const index = Math.floor((at - from) / BLOCK_BYTES);
        if (index !== block) flush();
        block = index;
        const end = Math.min(start + length, from + (index + 1) * BLOCK_BYTES);
        const first = at - from - index * BLOCK_BYTES;
        await disk.readBatch([{ at, into: memory.subarray(first, first + end - at) }]);
        isUsed = true;
        at = end;
      }
    }
  }
  flush();
  hasher.update(textBytes(borders.join()));
  return hasher.digest();
}

const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);
