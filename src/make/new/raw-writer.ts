import { assert } from '../../base/assert.js';
import { MiB } from '../../base/units.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { refuseUsedFile } from '../../io/new-device.js';
import type { GuestWrite, ImageWriter } from './image-writer.js';
import { WriteQueue } from './write-queue.js';

/** What a raw disk is written in: guest data begins at any multiple of it. */
export const RAW_SECTOR_BYTES = 512;
const ZEROS = new Uint8Array(MiB);
/** Zeros that are written at a time. */
const ZERO_REQUESTS = 8;

/**
 * Makes a raw disk of guest data that comes in ascending order. In a file, zeros and stretches without guest data become
 * holes. On a block device they are written as zeros.
 *
 * ```ts
 * const writer = await newRawWriter(device, disk.sizeBytes);
 * await copyDisk(disk.guest, writer);
 * await writer.finish();
 * ```
 *
 * @param device an empty file, or a block device whose first `diskSizeBytes` bytes become the disk.
 * @throws QsnapError OUTPUT_EXISTS for a file that is not empty; WRITE_FAILED, NO_SPACE.
 */
export async function newRawWriter(
  device: BlockDevice,
  diskSizeBytes: number,
): Promise<ImageWriter> {
  await refuseUsedFile(device, 'a new disk');
  const oldBytes = await device.sizeBytes();
  return new RawWriter(device, diskSizeBytes, oldBytes);
}

class RawWriter implements ImageWriter {
  readonly clusterBytes = RAW_SECTOR_BYTES;
  readonly unitBytes = RAW_SECTOR_BYTES;
  readonly takesCompressed = false;
  readonly #device: BlockDevice;
  readonly #diskSizeBytes: number;
  /** Up to here the device holds what was there before. */
  readonly #oldBytes: number;
  readonly #queue: WriteQueue;
  /** Guest offset up to which all is written, or going to be. */
  #writtenTo = 0;

  constructor(device: BlockDevice, diskSizeBytes: number, oldBytes: number) {
    this.#device = device;
    this.#diskSizeBytes = diskSizeBytes;
    this.#oldBytes = oldBytes;
    this.#queue = new WriteQueue(device);
  }

  async writeBatch(writes: readonly GuestWrite[]): Promise<void> {
    await this.#queue.inTurn(this.#batches(writes));
  }

  async finish(): Promise<void> {
    await this.#queue.inTurn(this.#clearTo(this.#diskSizeBytes));
    await this.#queue.drain();
    if (this.#device.growable && (await this.#device.sizeBytes()) < this.#diskSizeBytes) {
      await this.#device.truncate(this.#diskSizeBytes);
    }
    await this.#device.flush();
  }

  *#batches(writes: readonly GuestWrite[]): Generator<WriteRequest[]> {
    const requests: WriteRequest[] = [];
    for (const write of writes) {
      if (write.kind === 'zero') continue;
      const bytes = dataOf(write);
      checkPlace(write.at, bytes.length, this.#writtenTo, this.#diskSizeBytes);
      yield* this.#clearTo(write.at);
      requests.push({ at: write.at, bytes });
      this.#writtenTo = write.at + bytes.length;
    }
    if (requests.length > 0) yield requests;
  }

  /** Zeros over what was there before, from where all is written up to `end`. */
  *#clearTo(end: number): Generator<WriteRequest[]> {
    const oldEnd = Math.min(end, this.#oldBytes);
    let requests: WriteRequest[] = [];
    for (let at = this.#writtenTo; at < oldEnd; at += ZEROS.length) {
      requests.push({ at, bytes: ZEROS.subarray(0, Math.min(ZEROS.length, oldEnd - at)) });
      if (requests.length < ZERO_REQUESTS) continue;
      yield requests;
      requests = [];
    }
    if (requests.length > 0) yield requests;
    this.#writtenTo = Math.max(this.#writtenTo, end);
  }
}

/** Where the bytes of a raw disk go that can't be sought in, such as standard output. */
export interface ByteSink {
  /** Takes bytes; resolves when more may come. The bytes are not kept. */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Makes a raw disk as a stream: whatever is not written is sent as zeros.
 *
 * ```ts
 * const sink = writable.getWriter();
 * const writer = newStreamWriter(sink, disk.sizeBytes);
 * await copyDisk(disk.guest, writer);
 * await writer.finish();
 * await sink.close();
 * ```
 *
 * @param diskSizeBytes how many bytes are sent in all.
 */
export function newStreamWriter(sink: ByteSink, diskSizeBytes: number): ImageWriter {
  return new StreamWriter(sink, diskSizeBytes);
}

class StreamWriter implements ImageWriter {
  readonly clusterBytes = RAW_SECTOR_BYTES;
  readonly unitBytes = RAW_SECTOR_BYTES;
  readonly takesCompressed = false;
  readonly #sink: ByteSink;
  readonly #diskSizeBytes: number;
  #sent = 0;
  #lastTurn: Promise<void> = Promise.resolve();

  constructor(sink: ByteSink, diskSizeBytes: number) {
    this.#sink = sink;
    this.#diskSizeBytes = diskSizeBytes;
  }

  writeBatch(writes: readonly GuestWrite[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const write of writes) {
        if (write.kind === 'zero') continue;
        const bytes = dataOf(write);
        checkPlace(write.at, bytes.length, this.#sent, this.#diskSizeBytes);
        await this.#sendZerosTo(write.at);
        await this.#sink.write(bytes);
        this.#sent += bytes.length;
      }
    });
  }

  finish(): Promise<void> {
    return this.#inTurn(() => this.#sendZerosTo(this.#diskSizeBytes));
  }

  /** Nothing of a call is sent before the calls before it are through; a failure ends them all. */
  #inTurn(send: () => Promise<void>): Promise<void> {
    const turn = this.#lastTurn.then(send);
    this.#lastTurn = turn;
    // It is the callers' to handle; a later one gets it too.
    turn.catch(() => undefined);
    return turn;
  }

  async #sendZerosTo(end: number): Promise<void> {
    while (this.#sent < end) {
      const bytes = ZEROS.subarray(0, Math.min(ZEROS.length, end - this.#sent));
      await this.#sink.write(bytes);
      this.#sent += bytes.length;
    }
  }
}

function dataOf(write: Exclude<GuestWrite, { kind: 'zero' }>): Uint8Array {
  assert(write.kind === 'data', 'a raw disk has no compressed clusters');
  return write.bytes;
}

function checkPlace(at: number, bytes: number, from: number, diskSizeBytes: number): void {
  assert(at >= from, 'guest data comes in ascending order');
  assert(at + bytes <= diskSizeBytes, 'guest data lies on the disk');
}
