/** New raw disks as QEMU makes them: with something in their first block. */
import { newRawWriter, type BlockDevice, type ImageWriter } from '../../../index.js';

const SECTOR_BYTES = 512;
const FIRST_BLOCK_BYTES = 4096;
const ZEROS = new Uint8Array(4 * 1024 * 1024);

/**
 * What of a raw disk that was an empty file is written in any case: who reads it past the cache finds
 * out by it what alignment that takes.
 *
 * QEMU: block/file-posix.c, as measured with 7.2 where pages of memory have 4 KiB.
 */
export function firstBlockBytes(diskSizeBytes: number): number {
  return diskSizeBytes < FIRST_BLOCK_BYTES
    ? Math.min(SECTOR_BYTES, diskSizeBytes)
    : FIRST_BLOCK_BYTES;
}

/** A writer for a raw disk in an empty file, or on a block device, which has all of its room. */
export async function newRawDiskWriter(
  file: BlockDevice,
  diskSizeBytes: number,
): Promise<ImageWriter> {
  const writer = await newRawWriter(file, diskSizeBytes);
  const bytes = ZEROS.subarray(0, file.growable ? firstBlockBytes(diskSizeBytes) : 0);
  if (bytes.length > 0) await file.writeBatch([{ at: 0, bytes }]);
  return writer;
}

/** An empty raw disk; with room on the medium where that is asked for. */
export async function fillRaw(
  file: BlockDevice,
  diskSizeBytes: number,
  preallocation: string,
): Promise<void> {
  const writer = await newRawDiskWriter(file, diskSizeBytes);
  if (preallocation === 'falloc' || preallocation === 'full') {
    for (let at = 0; at < diskSizeBytes; at += ZEROS.length) {
      const bytes = ZEROS.subarray(0, Math.min(ZEROS.length, diskSizeBytes - at));
      await writer.writeBatch([{ kind: 'data', at, bytes }]);
    }
  }
  await writer.finish();
}
