/** Batches of writes, flushes and holes as system calls on one open file. */
import { QsnapError } from '../../errors.js';
import {
  FILE_WRITE_LIMITS,
  mergedRanges,
  runInFlight,
  withoutFirst,
  writeSpans,
} from '../../io/batch.js';
import type { Span } from '../../io/batch.js';
import type { BlockDevice, ByteRange, WriteRequest } from '../../io/device.js';
import { assertPlace, callsInFlight, FileSource, totalBytes } from './file-source.js';
import { systemCodeOf, writeFailed } from './system-error.js';

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

  /** @throws QsnapError WRITE_FAILED: some systems say only now that bytes were not written. */
  override async close(): Promise<void> {
    try {
      await this.calls.close();
    } catch (error) {
      throw writeFailed(this.label, `close ${this.name}`, error);
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
