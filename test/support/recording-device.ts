/**
 * A device in memory that remembers every call, fails where it is told to, and from its log makes
 * the disk images that a power cut may leave.
 */
import { QsnapError } from '../../src/errors.js';
import type { BlockDevice, ByteRange, ReadRequest, WriteRequest } from '../../src/io/device.js';
import { memoryDevice } from '../../src/io/memory.js';
import type { MemoryOptions } from '../../src/io/memory.js';

/** A change of the medium; the bytes are a copy. */
export type Change =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
  | { readonly kind: 'punch'; readonly at: number; readonly length: number };

/** A call in the order of the calls. A batch is one entry for each of its requests. */
export type Recorded =
  | Change
  | { readonly kind: 'read'; readonly at: number; readonly length: number }
  | { readonly kind: 'flush' };

export interface RecordingDevice extends BlockDevice {
  readonly log: readonly Recorded[];
  /** How many calls of the device were made; a batch is one. */
  readonly calls: number;
  /**
   * The n-th call from now on (the next one is 1) fails with READ_FAILED or WRITE_FAILED and does
   * nothing, or with `partly` the first half of its requests. Later calls work.
   */
  failAt(n: number, partly?: 'partly'): void;
  snapshotBytes(): Uint8Array;
}

/** A recording device that starts with these bytes. */
export function recordingDevice(
  bytes: Uint8Array = new Uint8Array(0),
  options: MemoryOptions = {},
): RecordingDevice {
  const inner = memoryDevice(bytes, 'recording', options);
  const log: Recorded[] = [];
  let calls = 0;
  let failing: { readonly call: number; readonly partly: boolean } | undefined;

  /** Counts the call; resolves to how many of `count` requests are done before it fails. */
  const begin = (count: number): { readonly done: number; readonly fails: boolean } => {
    calls += 1;
    if (failing?.call !== calls) return { done: count, fails: false };
    return { done: failing.partly ? Math.floor(count / 2) : 0, fails: true };
  };
  const broken = (code: 'READ_FAILED' | 'WRITE_FAILED') =>
    new QsnapError(code, `Call ${calls} of the recording device fails as it was told`, {
      systemCode: 'EIO',
    });

  return {
    label: inner.label,
    growable: inner.growable,
    log,
    get calls() {
      return calls;
    },
    failAt(n, partly) {
      failing = { call: calls + n, partly: partly === 'partly' };
    },
    snapshotBytes: () => inner.snapshotBytes(),
    sizeBytes: () => inner.sizeBytes(),
    async readBatch(requests: readonly ReadRequest[]) {
      const { done, fails } = begin(requests.length);
      for (const { at, into } of requests) log.push({ kind: 'read', at, length: into.length });
      await inner.readBatch(requests.slice(0, done));
      if (fails) throw broken('READ_FAILED');
    },
    async writeBatch(requests: readonly WriteRequest[]) {
      const { done, fails } = begin(requests.length);
      for (const { at, bytes } of requests.slice(0, done)) {
        await inner.writeBatch([{ at, bytes }]);
        if (bytes.length > 0) log.push({ kind: 'write', at, bytes: bytes.slice() });
      }
      if (fails) throw broken('WRITE_FAILED');
    },
    async flush() {
      if (begin(0).fails) throw broken('WRITE_FAILED');
      await inner.flush();
      log.push({ kind: 'flush' });
    },
    async truncate(sizeBytes: number) {
      if (begin(0).fails) throw broken('WRITE_FAILED');
      await inner.truncate(sizeBytes);
      log.push({ kind: 'truncate', sizeBytes });
    },
    async punchBatch(ranges: readonly ByteRange[]) {
      const { done, fails } = begin(ranges.length);
      const punched = ranges.slice(0, done);
      const givenBack = await inner.punchBatch(punched);
      for (const { at, length } of punched) log.push({ kind: 'punch', at, length });
      if (fails) throw broken('WRITE_FAILED');
      return givenBack;
    },
    close: () => inner.close(),
  };
}
/**
 * What an edit sent once it had made durable what it found: before anything else it writes the bytes of the header that
 * it may change as they are, and flushes.
 *
 * @param bytes what it found.
 */
export function sinceDurable(log: readonly Recorded[], bytes: Uint8Array): readonly Recorded[] {
  const [first, second, ...others] = log.filter(({ kind }) => kind !== 'read');
  const isSame = first?.kind === 'write' && first.at === 24;
  if (!isSame || Buffer.compare(first.bytes, bytes.subarray(24, 96)) !== 0) {
    throw new Error('the edit did not write again what it found');
  }
  if (second?.kind !== 'flush') throw new Error('the edit did not flush what it found');
  return others;
}

export { crashStates } from './crash-states.js';
