/**
 * How much a deflate stream holds, without unpacking it. The decoders of platforms don't tell: some refuse a
 * stream for what follows it, and give nothing of it. RFC 1951; what is bad is zlib's choice.
 */

/** Thrown through the reader: the stream is bad, or is over. */
const NO_MORE = new Error('no more of a stream');

/** Extra bits of the length symbols from 257, and of the distance symbols. RFC 1951, section 3.2.5. */
const LENGTH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_EXTRA = Array.from({ length: 30 }, (_, i) => (i < 2 ? 0 : (i >>> 1) - 1));
const LENGTH_FROM = [...sums(3, LENGTH_EXTRA).slice(0, -1), 258];
const DISTANCE_FROM = sums(1, DISTANCE_EXTRA);

const END_OF_BLOCK = 256;
/** More symbols than these are bad. */
const LITERALS_MAX = 286;
const DISTANCES_MAX = 30;
/** The order in which lengths of the code for lengths are stored. RFC 1951, section 3.2.7. */
const LENGTHS_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Where each symbol's values begin, each with as many as its extra bits have. */
function sums(from: number, extra: readonly number[]): readonly number[] {
  let next = from;
  return extra.map((bits) => {
    const begin = next;
    next += 2 ** bits;
    return begin;
  });
}

/** Whether a raw deflate stream gives at least `bytes` bytes. What follows them doesn't matter. */
export function deflateReaches(stream: Uint8Array, bytes: number): boolean {
  const length = new DeflateLength(stream, bytes);
  try {
    length.read();
  } catch (error) {
    if (error !== NO_MORE) throw error;
  }
  return length.held >= bytes;
}

class DeflateLength {
  /** Bytes that the stream gave so far. */
  held = 0;
  readonly #bits: Bits;
  readonly #wanted: number;

  constructor(stream: Uint8Array, wanted: number) {
    this.#bits = new Bits(stream);
    this.#wanted = wanted;
  }

  /** Reads until enough is held, or the stream ends. */
  read(): void {
    for (let isLast = false; !isLast && this.held < this.#wanted;) {
      isLast = this.#bits.take(1) === 1;
      const type = this.#bits.take(2);
      if (type === 0) this.held += this.#bits.skipStored();
      else if (type === 1) this.#readSymbols(FIXED_LITERALS, FIXED_DISTANCES);
      else if (type === 2) this.#readDynamic();
      else throw NO_MORE;
    }
  }

  #readDynamic(): void {
    const bits = this.#bits;
    const literals = bits.take(5) + 257;
    const distances = bits.take(5) + 1;
    const stored = bits.take(4) + 4;
    if (literals > LITERALS_MAX || distances > DISTANCES_MAX) throw NO_MORE;
    const ofLengths = new Uint8Array(19);
    for (let i = 0; i < stored; i++) ofLengths[LENGTHS_ORDER[i]!] = bits.take(3);
    const lengths = readLengths(bits, new Code(ofLengths), literals + distances);
    if (lengths[END_OF_BLOCK] === 0) throw NO_MORE;
    this.#readSymbols(
      new Code(lengths.subarray(0, literals)),
      new Code(lengths.subarray(literals)),
    );
  }

  #readSymbols(literals: Code, distances: Code): void {
    const bits = this.#bits;
    while (this.held < this.#wanted) {
      const symbol = literals.next(bits);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) this.held++;
      else {
        const length = valueOf(symbol - END_OF_BLOCK - 1, LENGTH_FROM, LENGTH_EXTRA, bits);
        const back = valueOf(distances.next(bits), DISTANCE_FROM, DISTANCE_EXTRA, bits);
        if (back > this.held) throw NO_MORE;
        this.held += length;
      }
    }
  }
}

function valueOf(
  index: number,
  from: readonly number[],
  extra: readonly number[],
  bits: Bits,
): number {
  const begin = from[index];
  if (begin === undefined) throw NO_MORE;
  return begin + bits.take(extra[index]!);
}

function readLengths(bits: Bits, code: Code, count: number): Uint8Array {
  const lengths = new Uint8Array(count);
  for (let i = 0; i < count;) {
    const symbol = code.next(bits);
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) throw NO_MORE;
    const length = symbol === 16 ? lengths[i - 1]! : 0;
    const end =
      i + (symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7));
    if (end > count) throw NO_MORE;
    lengths.fill(length, i, end);
    i = end;
  }
  return lengths;
}

/** The bits of a stream, the lowest of each byte first. */
class Bits {
  readonly #bytes: Uint8Array;
  #at = 0;
  #held = 0;
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Up to 13 bits as a number. */
  take(count: number): number {
    while (this.#count < count) {
      if (this.#at >= this.#bytes.length) throw NO_MORE;
      this.#held |= this.#bytes[this.#at++]! << this.#count;
      this.#count += 8;
    }
    const value = this.#held & ((1 << count) - 1);
    this.#held >>>= count;
    this.#count -= count;
    return value;
  }

  /** Passes a block that is stored as it is; how many of its bytes are there. */
  skipStored(): number {
    // The rest of a byte is not used.
    this.#held = 0;
    this.#count = 0;
    const length = this.take(8) + this.take(8) * 256;
    const inverted = this.take(8) + this.take(8) * 256;
    if (length + inverted !== 0xffff) throw NO_MORE;
    const there = Math.min(length, this.#bytes.length - this.#at);
    this.#at += length;
    return there;
  }
}

const BITS_MAX = 15;

/** A Huffman code by the lengths of its symbols. RFC 1951, section 3.2.2. */
class Code {
  /** How many symbols have codes of each length. */
  readonly #counts = new Uint16Array(BITS_MAX + 1);
  /** The symbols that have codes, by their codes. */
  readonly #symbols: readonly number[];

  constructor(lengths: Uint8Array) {
    for (const length of lengths) if (length > 0) this.#counts[length]!++;
    const used = [...lengths.keys()].filter((symbol) => lengths[symbol]! > 0);
    // Sorting keeps the order of symbols whose codes have one length.
    this.#symbols = used.sort((a, b) => lengths[a]! - lengths[b]!);
    let free = 1;
    for (let length = 1; length <= BITS_MAX; length++) {
      free = free * 2 - this.#counts[length]!;
      if (free < 0) throw NO_MORE;
    }
    // One code of one bit may be all there is, or none: then no symbol of this kind comes.
    const isShort = used.length === 0 || (used.length === 1 && this.#counts[1] === 1);
    if (free > 0 && !isShort) throw NO_MORE;
  }

  next(bits: Bits): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= BITS_MAX; length++) {
      code |= bits.take(1);
      const count = this.#counts[length]!;
      if (code - first < count) return this.#symbols[index + code - first]!;
      index += count;
      first = (first + count) * 2;
      code *= 2;
    }
    throw NO_MORE;
  }
}

/** The codes of blocks that bring none. RFC 1951, section 3.2.6. */
const FIXED_LITERALS = new Code(
  Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = new Code(new Uint8Array(32).fill(5));
