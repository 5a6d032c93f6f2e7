/** Batches of requests as system calls on one open file. */
import { assert } from '../../base/assert.js';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import {
  FILE_CALLS_IN_FLIGHT,
  FILE_READ_LIMITS,
  FILE_WRITE_LIMITS,
  buffersOf,
  mergedRanges,
  readSpans,
  runInFlight,
  scatter,
  withoutFirst,
  writeSpans,
} from '../batch.js';
import type { Span } from '../batch.js';
import type { BlockDevice, ByteRange, ReadRequest, WriteRequest } from '../device.js';
import type { FileStretch, SparseSource } from '../holes.js';
import type { FileCalls } from './file-calls.js';
import { stretchesBySeeking } from './seek.js';
import { readFailed, systemCodeOf, writeFailed } from './system-error.js';

export interface FileFacts {
  /** The size of a block device; undefined for a file, whose size changes. */
  readonly fixedBytes: number | undefined;
}

/** Unit of `st_blocks`, whatever the file system's block size is. */
const STAT_BLOCK_BYTES = 512;

/** What Node's thread pool runs at a time. */
const callsInFlight = (): number =>
  Number(process.env['UV_THREADPOOL_SIZE']) || FILE_CALLS_IN_FLIGHT;

/** Where the bytes of gaps go: all of them, at the same time. Never looked at. */
const waste = new Uint8Array(FILE_READ_LIMITS.gapBytes);

/** A file that is only read. */
export class FileSource implements SparseSource {
  readonly label: string;
  protected readonly calls: FileCalls;
  protected readonly fixedBytes: number | undefined;

  constructor(label: string, calls: FileCalls, facts: FileFacts) {
    this.label = label;
    this.calls = calls;
    this.fixedBytes = facts.fixedBytes;
  }

  /** The open file's descriptor, for locks: they belong to it. */
  get fd(): number {
    return this.calls.fd;
  }

  async sizeBytes(): Promise<number> {
    if (this.fixedBytes !== undefined) return this.fixedBytes;
    try {
      return (await this.calls.stat()).size;
    } catch (error) {
      throw readFailed(this.label, `ask the size of ${this.name}`, error);
    }
  }

  get growable(): boolean {
    return this.fixedBytes === undefined;
  }

  /** Bytes that the file takes on its medium: less than its size where it has holes. */
  async allocatedBytes(): Promise<number> {
    try {
      return (await this.calls.stat()).blocks * STAT_BLOCK_BYTES;
    } catch (error) {
      throw readFailed(this.label, `ask how much room ${this.name} takes`, error);
    }
  }

  async stretchesFrom(from: number, to: number): Promise<readonly FileStretch[] | undefined> {
    // Block devices have none that the system knows.
    if (this.fixedBytes !== undefined) return [{ at: from, length: to - from, isHole: false }];
    const told = stretchesBySeeking((what, at) => this.calls.seek(what, at), from, to);
    const last = told?.at(-1);
    // Where there is more to ask, others of this process have their turn first.
    if (last !== undefined && last.at + last.length < to) await new Promise(setImmediate);
    return told;
  }

  async readBatch(requests: readonly ReadRequest[]): Promise<void> {
    const only = requests.length === 1 ? requests[0]! : undefined;
    if (only !== undefined && only.into.length <= FILE_READ_LIMITS.spanBytes) {
      if (only.into.length > 0) await this.#fill([only.into], only.at);
      return;
    }
    const spans = readSpans(requests, FILE_READ_LIMITS);
    await runInFlight(spans, callsInFlight(), (span) => this.#readSpan(span));
  }

  async close(): Promise<void> {
    await this.calls.close();
  }

  protected get name(): string {
    return printableText(this.label);
  }

  async #readSpan(span: Span): Promise<void> {
    if (!span.overlaps) {
      await this.#fill(buffersOf(span, waste), span.at);
      return;
    }
    const bytes = new Uint8Array(span.end - span.at);
    await this.#fill([bytes], span.at);
    scatter(span, bytes);
  }

  /** Reads until all buffers are full; past the end of the file they become zero. */
  async #fill(buffers: readonly Uint8Array[], at: number): Promise<void> {
    // Tables may point anywhere below 2^62; no file is that long.
    if (at > Number.MAX_SAFE_INTEGER) {
      for (const buffer of buffers) buffer.fill(0);
      return;
    }
    assertPlace(at);
    let rest = buffers;
    let place = at;
    while (rest.length > 0) {
      const count = await this.#read(rest, place);
      if (count === 0) {
        for (const buffer of rest) buffer.fill(0);
        return;
      }
      rest = withoutFirst(rest, count);
      place += count;
    }
  }

  async #read(into: readonly Uint8Array[], at: number): Promise<number> {
    try {
      return await this.calls.read(into, at);
    } catch (error) {
      const doing = `read ${totalBytes(into)} bytes of ${this.name} at byte ${at}`;
      throw readFailed(this.label, doing, error, at);
    }
  }
}

/** A file that is read and written. */
export class FileDevice extends FileSource implements BlockDevice {
  #flushFailure: QsnapError | undefined;

  async writeBatch(requests: readonly WriteRequest[]): Promise<void> {
    this.#refuseAfterFailedFlush();
    const spans = writeSpans(requests, FILE_WRITE_LIMITS);
    this.#refusePastFixedEnd(spans.at(-1)?.end ?? 0);
    await runInFlight(spans, callsInFlight(), (span) => this.#writeSpan(span));
  }

  /**
   * After a failed flush the system may forget which writes are missing and call the next flush a
   * success; so nothing is written or flushed through this device any more.
   */
  async flush(): Promise<void> {
    this.#refuseAfterFailedFlush();
    try {
      await this.#sync();
    } catch (error) {
      const doing = `bring the writes to ${this.name} to the medium`;
      this.#flushFailure = writeFailed(this.label, doing, error);
      throw this.#flushFailure;
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#refuseAfterFailedFlush();
    assertPlace(sizeBytes);
    if (this.fixedBytes !== undefined) {
      this.#refusePastFixedEnd(sizeBytes);
      if (sizeBytes === this.fixedBytes) return;
      const message = `${this.name} is a block device and can't be cut to ${sizeBytes} bytes`;
      throw new QsnapError('WRITE_FAILED', message, { file: this.label });
    }
    try {
      await this.calls.truncate(sizeBytes);
    } catch (error) {
      throw writeFailed(this.label, `make ${this.name} ${sizeBytes} bytes long`, error);
    }
  }

  async punchBatch(ranges: readonly ByteRange[]): Promise<number> {
    this.#refuseAfterFailedFlush();
    const sizeBytes = await this.sizeBytes();
    let givenBack = 0;
    let canPunch = true;
    await runInFlight(mergedRanges(ranges), callsInFlight(), async ({ at, length }) => {
      const end = Math.min(at + length, sizeBytes);
      if (!canPunch || end <= at) return;
      if (await this.#punch(at, end - at)) givenBack += end - at;
      else canPunch = false;
    });
    return givenBack;
  }

  async #writeSpan(span: Span): Promise<void> {
    assertPlace(span.at);
    let rest: readonly Uint8Array[] = span.parts.map((part) => part.bytes);
    let at = span.at;
    while (rest.length > 0) {
      const count = await this.#write(rest, at);
      rest = withoutFirst(rest, count);
      at += count;
    }
  }

  async #write(from: readonly Uint8Array[], at: number): Promise<number> {
    const doing = () => `write ${totalBytes(from)} bytes to ${this.name} at byte ${at}`;
    let count: number;
    try {
      count = await this.calls.write(from, at);
    } catch (error) {
      throw writeFailed(this.label, doing(), error, at);
    }
    if (count > 0) return count;
    const message = `Can't ${doing()}: the system took no bytes`;
    throw new QsnapError('WRITE_FAILED', message, { file: this.label, at });
  }

  async #sync(): Promise<void> {
    try {
      await this.calls.datasync();
    } catch (error) {
      // Some file systems have only the full one. This says so; it is no failed write.
      if (systemCodeOf(error) !== 'EINVAL') throw error;
      await this.calls.sync();
    }
  }

  /** False where the file system or the device has no holes. */
  async #punch(at: number, length: number): Promise<boolean> {
    try {
      return await this.calls.punch(at, length);
    } catch (error) {
      if (NO_HOLES.has(systemCodeOf(error) ?? '')) return false;
      const doing = `give back ${length} bytes of ${this.name} at byte ${at}`;
      throw writeFailed(this.label, doing, error, at);
    }
  }

  #refuseAfterFailedFlush(): void {
    if (this.#flushFailure === undefined) return;
    const message = `${this.name} is not written any more, since a flush failed before`;
    throw new QsnapError('WRITE_FAILED', message, { file: this.label }, this.#flushFailure);
  }

  #refusePastFixedEnd(end: number): void {
    if (this.fixedBytes === undefined || end <= this.fixedBytes) return;
    const bytesNeeded = end - this.fixedBytes;
    const message =
      `${this.name} is a block device of ${this.fixedBytes} bytes: ` +
      `${bytesNeeded} more are needed`;
    throw new QsnapError('NO_SPACE', message, { file: this.label, bytesNeeded });
  }
}

/** What systems say when a hole can't be punched here. */
const NO_HOLES: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL']);

/** Node takes -1 for "where the file stands", which would be the wrong place. */
function assertPlace(at: number): void {
  assert(Number.isSafeInteger(at) && at >= 0, `${at} is a place in a file`);
}

function totalBytes(buffers: readonly Uint8Array[]): number {
  return buffers.reduce((sum, buffer) => sum + buffer.length, 0);
}
