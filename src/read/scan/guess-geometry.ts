import { isZero } from '../../base/bytes.js';
import { newIoBytes } from '../../base/io-bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import { storedWords, valueOfStored } from '../../base/words.js';
import { throwIfAborted } from '../../base/abort.js';
import type { BlockSource } from '../../io/device.js';
import { stretchesOf } from '../../io/holes.js';
import {
  COMPRESSED,
  COPIED,
  OFFSET_HIGH,
  OFFSET_LOW,
  offsetOf,
  ZERO_FLAG,
} from '../../l1l2/entry.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { Stoppable } from '../../io/stoppable.js';

/** What tables say of an image whose header is lost. */
export interface GuessedGeometry {
  readonly clusterBits: number;
  readonly extendedL2: boolean;
  readonly zstd: boolean;
}

const SECTOR_BYTES = 512;
const BATCH_BYTES = 4 * MiB;
/** Entries that are enough to tell by. */
const ENOUGH_ENTRIES = 2 ** 20;
/** With fewer, chance has a say. */
const ENTRIES_MIN = 4;
/** Of all entries, at least one in so many lies at an odd multiple of the cluster size. */
const ODD_ONES = 8;

/**
 * Guesses the cluster size from the offsets in table entries. All of them are multiples of the size, and about half are
 * odd multiples, so the size is the lowest bit that is often the lowest one set.
 *
 * @returns undefined where there are too few to tell.
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function guessGeometry(
  source: BlockSource,
  fileSizeBytes: number,
  { signal }: Stoppable = {},
): Promise<GuessedGeometry | undefined> {
  const lowestBits = new LowestBits(fileSizeBytes);
  const buffer = newIoBytes(Math.min(BATCH_BYTES, roundUp(fileSizeBytes, SECTOR_BYTES)));
  for await (const stretches of stretchesOf(source, 0, fileSizeBytes)) {
    for (const { at, length, isHole } of stretches) {
      if (isHole) continue;
      const end = at + length;
      // Whole sectors, wherever a hole ends.
      for (let from = at - (at % SECTOR_BYTES); from < end; from += buffer.length) {
        throwIfAborted(signal, 'the scan');
        const bytes = buffer.subarray(0, roundUp(end - from, SECTOR_BYTES));
        await source.readBatch([{ at: from, into: bytes }]);
        if (!isZero(bytes)) lowestBits.lookAtTable(storedWords(bytes));
        if (lowestBits.entries >= ENOUGH_ENTRIES) return lowestBits.guess();
      }
    }
  }
  return lowestBits.guess();
}

/** Counts table entries by the lowest bit of the offset that they name. */
export class LowestBits {
  /** Entries in sectors with a COPIED flag. */
  entries = 0;
  readonly #fileSizeBytes: number;
  /** Entries by the lowest bit of the place that they name: with a flag in their sector, and in all. */
  readonly #byLowestBit = new Uint32Array(64);
  readonly #allByLowestBit = new Uint32Array(64);
  /** Sectors in which every second pair of words is an entry and the others are not. */
  #extended = 0;
  #plain = 0;

  constructor(fileSizeBytes: number) {
    this.#fileSizeBytes = fileSizeBytes;
  }

  /** @param stored whole sectors, as they lie in the file. */
  lookAtTable(stored: Uint32Array): void {
    for (let i = 0; i < stored.length; i += SECTOR_BYTES / 4) {
      this.#lookAt(stored.subarray(i, i + SECTOR_BYTES / 4));
    }
  }

  /** Counts the entries of a sector, unless some word in it can't be an entry: then it is no part of a table. */
  #lookAt(stored: Uint32Array): void {
    const bits: number[] = [];
    let [copied, bitmaps] = [0, 0];
    for (let i = 0; i < stored.length; i += 2) {
      const high = valueOfStored(stored[i]!);
      const low = valueOfStored(stored[i + 1]!);
      if ((high | low) === 0 || (high === 0 && low === ZERO_FLAG)) continue;
      const bit = this.#lowestBit(high, low);
      // With extended L2 entries every second pair of words is a bitmap.
      if (bit === undefined && (i & 2) === 0) return;
      if (bit === undefined) bitmaps += 1;
      else bits.push(bit);
      if (bit !== undefined && (high & COPIED) !== 0) copied += 1;
    }
    if (bits.length === 0) return;
    // Where everything is shared with a snapshot no entry has the flag.
    for (const bit of bits) this.#allByLowestBit[bit] = this.#allByLowestBit[bit]! + 1;
    if (copied === 0) return;
    if (bitmaps > 0) this.#extended += 1;
    else if (bits.length > 1) this.#plain += 1;
    this.entries += bits.length;
    for (const bit of bits) this.#byLowestBit[bit] = this.#byLowestBit[bit]! + 1;
  }

  #lowestBit(high: number, low: number): number | undefined {
    if ((high & (COMPRESSED | 0x3f00_0000)) !== 0 || (low & 0x1fe) !== 0) return undefined;
    const at = offsetOf(high, low);
    if (at === 0 || at >= this.#fileSizeBytes) return undefined;
    const lowBits = low & OFFSET_LOW;
    return lowBits === 0 ? 32 + lowestBitOf(high & OFFSET_HIGH) : lowestBitOf(lowBits);
  }

  guess(): GuessedGeometry | undefined {
    const isEnough = this.entries >= ENTRIES_MIN;
    const byLowestBit = isEnough ? this.#byLowestBit : this.#allByLowestBit;
    const entries = byLowestBit.reduce((sum, count) => sum + count, 0);
    if (entries < ENTRIES_MIN) return undefined;
    const { clusterBitsMin, clusterBitsMax, clusterBitsMinExtendedL2 } = LIMITS;
    for (let bits = clusterBitsMin.value; bits <= clusterBitsMax.value; bits++) {
      if (byLowestBit[bits]! * ODD_ONES < entries) continue;
      const canExtend = bits >= clusterBitsMinExtendedL2.value;
      return {
        clusterBits: bits,
        extendedL2: canExtend && this.#extended > this.#plain,
        zstd: false,
      };
    }
    return undefined;
  }
}

function lowestBitOf(word: number): number {
  return 31 - Math.clz32(word & -word);
}
