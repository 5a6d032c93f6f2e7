import { setTimeout as sleep } from 'node:timers/promises';
import { QsnapError } from '../../src/errors.js';
import type { BlockDevice } from '../../src/io/device.js';
import { memoryDevice, type MemoryOptions } from '../../src/io/memory.js';

/** A device in memory that takes its time. */
export interface LateDevice extends BlockDevice {
  /** Reads and writes that have not come back. */
  readonly underWay: number;
  /** What it holds once all that is under way is over. */
  snapshotBytes(): Uint8Array;
}

export interface LateOptions extends MemoryOptions {
  /** Calls that fail at once instead: by what is done, and where the first request is. */
  readonly fails?: (call: 'read' | 'write', at: number) => boolean;
}

const LATE_MS = 15;

/** A device whose reads and writes take a while, but for those that fail at once. */
export function lateDevice(bytes?: Uint8Array, options: LateOptions = {}): LateDevice {
  const inner = memoryDevice(bytes, 'late', options);
  let underWay = 0;
  const late = async (call: 'read' | 'write', at: number, work: () => Promise<void>) => {
    if (options.fails?.(call, at) === true) {
      const code = call === 'read' ? 'READ_FAILED' : 'WRITE_FAILED';
      throw new QsnapError(code, 'the medium fails at once', { at });
    }
    underWay += 1;
    try {
      await sleep(LATE_MS);
      await work();
    } finally {
      underWay -= 1;
    }
  };
  return {
    label: inner.label,
    growable: inner.growable,
    get underWay() {
      return underWay;
    },
    snapshotBytes: () => inner.snapshotBytes(),
    sizeBytes: () => inner.sizeBytes(),
    readBatch: (requests) => late('read', requests[0]?.at ?? 0, () => inner.readBatch(requests)),
    writeBatch: (requests) => late('write', requests[0]?.at ?? 0, () => inner.writeBatch(requests)),
    flush: () => inner.flush(),
    truncate: (sizeBytes) => inner.truncate(sizeBytes),
    punchBatch: (ranges) => inner.punchBatch(ranges),
    close: () => inner.close(),
  };
}
