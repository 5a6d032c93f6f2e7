/** Sets of clusters as bits: cluster `c` is bit `c & 31` of word `c >>> 5`. */

/** The bits of `length` clusters from `from` on, as far as the word goes. */
export function maskOf(from: number, length: number): number {
  return (length >= 32 ? -1 : (1 << length) - 1) << from;
}

/** Sets the bits of clusters in a row, from `first` up to `end`. */
export function setBits(words: Uint32Array, first: number, end: number): void {
  if (end <= first) return;
  const wholeFrom = Math.ceil(first / 32);
  const wholeEnd = Math.floor(end / 32);
  if (wholeFrom > wholeEnd) {
    words[wholeEnd]! |= maskOf(first & 31, end - first);
    return;
  }
  if ((first & 31) !== 0) words[wholeFrom - 1]! |= maskOf(first & 31, 32);
  words.fill(0xffff_ffff, wholeFrom, wholeEnd);
  if ((end & 31) !== 0) words[wholeEnd]! |= maskOf(0, end & 31);
}

/** Hands every bit that is set to `visit`, the lowest first. */
export function visitBits(bits: number, visit: (bit: number) => void): void {
  for (let rest = bits; rest !== 0; rest &= rest - 1) visit(31 - Math.clz32(rest & -rest));
}

/** How many bits are set. */
export function popcount(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x5555_5555);
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
