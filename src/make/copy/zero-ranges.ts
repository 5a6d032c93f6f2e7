import { isZero } from '../../base/bytes.js';

/** The smallest unit in which zeros are looked for. */
const SECTOR_BYTES = 512;

/** Guest bytes from `from` up to `to`. */
export interface GuestRange {
  readonly from: number;
  readonly to: number;
}

/** Which zeros inside data become holes. */
export interface ZeroRule {
  /** A run of zeros at least this long is left out; a shorter one is written. */
  readonly runBytes: number;
  /** Runs begin and end at guest offsets that are multiples of this. */
  readonly blockBytes: number;
}

/**
 * The rule of `qemu-img convert -S`: runs are aligned to the largest power of two that is not above
 * their least length.
 *
 * @param runBytes at least 1.
 * QEMU: qemu-img.c, is_allocated_sectors_min; measured with 7.2.
 */
export function zeroRule(runBytes: number): ZeroRule {
  const powerOfTwo = 2 ** Math.floor(Math.log2(runBytes));
  return { runBytes, blockBytes: Math.max(SECTOR_BYTES, powerOfTwo) };
}

/**
 * The stretches of `bytes` to write, ascending: what is left without long runs of zeros. Zeros at
 * either end are left out however few they are, as in QEMU.
 *
 * @param at guest offset of the first byte.
 */
export function dataRanges(bytes: Uint8Array, at: number, rule: ZeroRule): GuestRange[] {
  const { runBytes, blockBytes } = rule;
  const ranges: { from: number; to: number }[] = [];
  const end = at + bytes.length;
  let last: { from: number; to: number } | undefined;
  let from = at;
  while (from < end) {
    const to = Math.min(end, (Math.floor(from / blockBytes) + 1) * blockBytes);
    if (!isZero(bytes, from - at, to - at)) {
      if (last !== undefined && from - last.to < runBytes) last.to = to;
      else ranges.push((last = { from, to }));
    }
    from = to;
  }
  return ranges;
}
