import { throwIfAborted } from '../base/abort.js';
import { newIoBytes } from '../base/io-bytes.js';
import { MiB } from '../base/units.js';
import type { DiskChange } from '../edit/write/disk-change.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import type { Changes } from './changes.js';
import type { WriteOptions, WriteReport } from './write-image.js';

const PIECE_BYTES = 4 * MiB;

/**
 * Writes changes into a raw disk, where it lies: there is no switch, and a cut leaves some of them written. The same
 * changes may be written again.
 *
 * @param content has the new bytes at their offsets.
 * @throws QsnapError WRITE_FAILED, NO_SPACE, ABORTED, and what reading throws.
 */
export async function writeRaw(
  device: BlockDevice,
  changes: Changes,
  content: BlockSource,
  { onProgress, signal }: Pick<WriteOptions, 'onProgress' | 'signal'>,
): Promise<WriteReport> {
  const report = { dataBytes: 0, zeroBytes: 0, switches: 0 };
  const memory = newIoBytes(PIECE_BYTES);
  for await (const batch of changes) {
    for (const change of batch) {
      throwIfAborted(signal, 'the writing');
      if (change.kind === 'data') {
        await copyPieces(device, change, content, memory);
        report.dataBytes += change.length;
      } else {
        await writeZeros(device, change, memory);
        report.zeroBytes += change.length;
      }
      onProgress?.(change.at + change.length);
    }
  }
  await device.flush();
  return report;
}

async function copyPieces(
  device: BlockDevice,
  { at, length }: DiskChange,
  content: BlockSource,
  memory: Uint8Array,
): Promise<void> {
  for (let done = 0; done < length; done += PIECE_BYTES) {
    const bytes = memory.subarray(0, Math.min(PIECE_BYTES, length - done));
    await content.readBatch([{ at: at + done, into: bytes }]);
    await device.writeBatch([{ at: at + done, bytes }]);
  }
}

/** As holes where the host has them. */
async function writeZeros(
  device: BlockDevice,
  { at, length }: DiskChange,
  memory: Uint8Array,
): Promise<void> {
  if ((await device.punchBatch([{ at, length }])) >= length) return;
  for (let done = 0; done < length; done += PIECE_BYTES) {
    const bytes = memory.subarray(0, Math.min(PIECE_BYTES, length - done)).fill(0);
    await device.writeBatch([{ at: at + done, bytes }]);
  }
}
