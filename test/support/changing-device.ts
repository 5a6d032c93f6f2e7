import type { BlockDevice } from '../../src/io/device.js';
import { memoryDevice, type MemoryDevice } from '../../src/io/memory.js';
import { viewOf } from '../../src/io/view.js';

/** A medium that changes a new file when all of it but its first cluster was written, before it is compared. */
export function changingDevice(change: (bytes: Uint8Array) => void): {
  readonly device: BlockDevice;
  readonly inner: MemoryDevice;
} {
  const inner = memoryDevice();
  const truncate = async (sizeBytes: number): Promise<void> => {
    await inner.truncate(sizeBytes);
    const bytes = inner.snapshotBytes();
    change(bytes);
    await inner.writeBatch([{ at: 0, bytes }]);
  };
  return { inner, device: viewOf<BlockDevice>(inner, new Map([['truncate', truncate]])) };
}
