import { hasSameBytes, isZero } from '../base/bytes.js';
import { newIoBytes } from '../base/io-bytes.js';
import { MiB } from '../base/units.js';
import type { DiskChange } from '../edit/write/disk-change.js';
import type { BlockDevice, ReadRequest } from '../io/device.js';
import type { Extent, GuestDisk } from '../read/guest/disk.js';
import type { Changes } from './changes.js';
import { writeImage, type WriteOptions, type WriteReport } from './write-image.js';

/** Where a disk is going to stand. */
export interface NewGround {
  /** Undefined: on nothing. */
  readonly disk: GuestDisk | undefined;
  /**
   * The depth at which the old chain has the same file with the same disk, if it has: there both show the same, and
   * nothing is read.
   */
  readonly sameFrom?: number | undefined;
}

/** Compared at a time. */
const STEP_BYTES = 4 * MiB;
const STEP_PIECES = 16_384;
/** Bytes that are taken or left together. */
const UNIT_BYTES = 65_536;

/**
 * Writes into the active disk what it would lose with another backing file, so that it reads the same on the old one and
 * on the new one. The name of the backing file stays; `planBacking` changes it afterwards.
 *
 * @throws QsnapError what `writeImage` throws.
 */
export async function rebaseDisk(
  device: BlockDevice,
  ground: NewGround,
  options: WriteOptions,
): Promise<WriteReport> {
  const changesFrom = (disk: GuestDisk, from: number): Changes => {
    return differencesBelow(disk, from, ground);
  };
  return writeImage(device, { changesFrom, getsBacking: ground.disk !== undefined }, options);
}

interface Piece {
  readonly at: number;
  readonly length: number;
}

/** What the layers below the disk's own show otherwise than the new ground does. */
async function* differencesBelow(
  disk: GuestDisk,
  from: number,
  { disk: ground, sameFrom = Infinity }: NewGround,
): Changes {
  const step = new Step(disk, ground);
  for await (const { start, length, kind } of shownFromBelow(disk, from, sameFrom)) {
    const isZero = kind === 'unallocated' || kind === 'zero' || kind === 'preallocated';
    if (isZero && ground === undefined) continue;
    for (let at = start; at < start + length;) {
      const unitEnd = (Math.floor(at / UNIT_BYTES) + 1) * UNIT_BYTES;
      const to = Math.min(start + length, unitEnd);
      step.add({ at, length: to - at });
      at = to;
      if (step.isFull) yield await step.take();
    }
  }
  yield await step.take();
}

async function* shownFromBelow(
  disk: GuestDisk,
  from: number,
  sameFrom: number,
): AsyncGenerator<Extent> {
  for await (const batch of disk.extents(from, await disk.sizeBytes())) {
    for (const extent of batch) {
      const { depth, kind } = extent;
      // Where no layer says anything, the lowest that was asked is told: the image itself may be the only one.
      const isOwn = depth === 0 && kind !== 'unallocated';
      if (!isOwn && depth < sameFrom) yield extent;
    }
  }
}

/** Pieces that are read from both together. */
class Step {
  readonly #disk: GuestDisk;
  readonly #ground: GuestDisk | undefined;
  readonly #memory = [newIoBytes(STEP_BYTES), newIoBytes(STEP_BYTES)] as const;
  #pieces: Piece[] = [];
  #bytes = 0;

  constructor(disk: GuestDisk, ground: GuestDisk | undefined) {
    this.#disk = disk;
    this.#ground = ground;
  }

  get isFull(): boolean {
    return this.#bytes > STEP_BYTES - UNIT_BYTES || this.#pieces.length >= STEP_PIECES;
  }

  add(piece: Piece): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** Reads the pieces, and tells those that differ. */
  async take(): Promise<readonly DiskChange[]> {
    const pieces = this.#pieces;
    const [now, then] = this.#memory.map((memory) => placed(pieces, memory));
    this.#pieces = [];
    this.#bytes = 0;
    if (pieces.length === 0) return [];
    await this.#disk.readBatch(now!);
    if (this.#ground !== undefined) await this.#ground.readBatch(then!);
    const changes: DiskChange[] = [];
    for (const [i, { at, length }] of pieces.entries()) {
      const bytes = now![i]!.into;
      const zero = isZero(bytes);
      const isSame = this.#ground === undefined ? zero : hasSameBytes(bytes, then![i]!.into);
      if (!isSame) changes.push({ at, length, kind: zero ? 'zero' : 'data' });
    }
    return changes;
  }
}

function placed(pieces: readonly Piece[], memory: Uint8Array): readonly ReadRequest[] {
  let used = 0;
  return pieces.map(({ at, length }) => {
    const into = memory.subarray(used, used + length);
    used += length;
    return { at, into };
  });
}
