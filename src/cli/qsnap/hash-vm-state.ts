import {
  QsnapError,
  type GuestDiskOptions,
  type Hasher,
  type OpenImage,
  type Snapshot,
} from '../../index.js';
import { newIoBytes, openAllMapped, throwIfAborted, vmStateAt } from '../../internal.js';

/** VM state that is read at a time. */
const READ_BYTES = 4 * 2 ** 20;

/**
 * Hashes the VM state of a snapshot: as many bytes as the table tells of, from where the guest data ends.
 *
 * @throws QsnapError TABLE_INVALID where the L1 table ends before, ABORTED, and what a disk throws.
 */
export async function hashVmState(
  image: OpenImage,
  snapshot: Snapshot,
  { hasher, signal, ...options }: GuestDiskOptions & { hasher: Hasher; signal: AbortSignal },
): Promise<string> {
  const from = vmStateAt(image, snapshot);
  const end = from + snapshot.vmStateBytes;
  const mapped = snapshot.l1.entries * image.geometry.l2CoverageBytes;
  if (end > mapped) {
    const room = Math.max(0, mapped - from);
    throw new QsnapError(
      'TABLE_INVALID',
      `the L1 table of the snapshot ends ${end - mapped} bytes before its VM state does`,
      { expected: `at most ${room} bytes`, actual: String(snapshot.vmStateBytes) },
    );
  }
  const disk = await openAllMapped(image, { ...options, gate: undefined, snapshot });
  try {
    const memory = newIoBytes(Math.min(READ_BYTES, snapshot.vmStateBytes));
    for (let at = from; at < end; at += memory.length) {
      throwIfAborted(signal, 'the hashing');
      const into = memory.subarray(0, Math.min(memory.length, end - at));
      await disk.readBatch([{ at, into }]);
      hasher.update(into);
    }
    return hasher.digest();
  } finally {
    await disk.close();
  }
}
