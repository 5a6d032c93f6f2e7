/** Batches of reads as system calls on one open file. */
import { assert } from '../../base/assert.js';
import { printableText } from '../../base/text.js';
import {
  FILE_CALLS_IN_FLIGHT,
  FILE_READ_LIMITS,
  buffersOf,
  readSpans,
  runInFlight,
  scatter,
  withoutFirst,
} from '../../io/batch.js';
import type { Span } from '../../io/batch.js';
import type { BlockSource, FileStretch, ReadRequest } from '../../io/device.js';
import { closeQuietly, type FileCalls } from './file-calls.js';
import { stretchesBySeeking } from './seek.js';
import { readFailed } from './system-error.js';

export interface FileFacts {
  /** The size of a block device; undefined for a file, whose size changes. */
  readonly fixedBytes: number | undefined;
}

/** Unit of `st_blocks`, whatever the file system's block size is. */
const STAT_BLOCK_BYTES = 512;

/** What Node's thread pool runs at a time. */
export const callsInFlight = (): number =>
  Number(process.env['UV_THREADPOOL_SIZE']) || FILE_CALLS_IN_FLIGHT;

/** Where the bytes of gaps go: all of them, at the same time. Never looked at. */
const waste = new Uint8Array(FILE_READ_LIMITS.gapBytes);

/** A file that is only read. */
export class FileSource implements BlockSource {
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

  /** What was read stays right however a file is closed: nothing is said of that. */
  async close(): Promise<void> {
    await closeQuietly(this.calls);
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

/** Node takes -1 for "where the file stands", which would be the wrong place. */
export function assertPlace(at: number): void {
  assert(Number.isSafeInteger(at) && at >= 0, `${at} is a place in a file`);
}

/** Of all the buffers together. */
export function totalBytes(buffers: readonly Uint8Array[]): number {
  return buffers.reduce((sum, buffer) => sum + buffer.length, 0);
}
