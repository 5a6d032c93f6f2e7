import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compressedExtent,
  decodeL2Entry,
  ENTRY_PROBLEM_TEXT,
  hasZeroFlag,
  judgeL1Entry,
  judgeL2Entry,
  offsetOf,
  type TableFormat,
} from '../../../src/l1l2/entry.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';

interface Shape {
  readonly bits?: number;
  readonly version?: 2 | 3;
  readonly extended?: boolean;
  readonly fileClusters?: number;
}

function format({ bits = 16, version = 3, extended = false, fileClusters }: Shape): TableFormat {
  return {
    geometry: geometryOf(bits, 4, extended),
    version,
    fileClusters: fileClusters ?? 2 ** 32,
  };
}

/** High and low word of 16 hex digits. */
function words(hex: string): [number, number] {
  return [parseInt(hex.slice(0, 8), 16), parseInt(hex.slice(8), 16)];
}

describe('A8: the five kinds of L2 entries', () => {
  test.each<[string, Shape, unknown]>([
    ['0000000000000000', {}, { kind: 'unallocated' }],
    ['8000000000050000', {}, { kind: 'normal', at: 0x50000, copied: true }],
    ['0000000000050000', {}, { kind: 'normal', at: 0x50000, copied: false }],
    ['0000000000000001', {}, { kind: 'zero-plain' }],
    ['8000000000050001', {}, { kind: 'zero-alloc', at: 0x50000, copied: true }],
    ['0000000000000001', { version: 2 }, { kind: 'unallocated' }],
    ['8000000000050001', { version: 2 }, { kind: 'normal', at: 0x50000, copied: true }],
    ['8000000000050001', { extended: true }, { kind: 'normal', at: 0x50000, copied: true }],
    ['4000000000050001', {}, { kind: 'compressed', at: 0x50001, sectorBytes: 512 }],
    ['00fffffffffffe00', { bits: 9 }, { kind: 'normal', at: 0xfffffffffffe00, copied: false }],
  ])('%s %j', (hex, shape, entry) => {
    expect(decodeL2Entry(...words(hex), format(shape))).toEqual(entry);
  });

  test('A12: bit 0 is the zero flag in version 3 without extended L2 entries alone', () => {
    expect(hasZeroFlag(format({}))).toBe(true);
    expect(hasZeroFlag(format({ version: 2 }))).toBe(false);
    expect(hasZeroFlag(format({ extended: true }))).toBe(false);
  });
});

describe('A10: a compressed descriptor, by the formula of the specification', () => {
  const descriptor = fc.bigInt(0n, 2n ** 62n - 1n);
  test.each(Array.from({ length: 13 }, (_, i) => 9 + i))('clusters of 2^%d', (bits) => {
    fc.assert(
      fc.property(descriptor, (value) => {
        const x = BigInt(62 - (bits - 8));
        const exact = value % 2n ** x;
        const sectors = value / 2n ** x + 1n;
        const high = Number(value >> 32n) + 0x4000_0000;
        const extent = compressedExtent(high, Number(value & 0xffff_ffffn), bits);
        expect(extent).toEqual({ at: Number(exact), sectorBytes: Number(sectors) * 512 });
        if (exact < 2n ** 53n) expect(BigInt(extent.at)).toBe(exact);
      }),
    );
  });

  test('R14: at clusters of 2 MiB the offset has 49 bits, and the sector count 13', () => {
    const extent = compressedExtent(0x4001_ffff, 0xffff_ffff, 21);
    expect(extent).toEqual({ at: 2 ** 49 - 1, sectorBytes: 512 });
    expect(compressedExtent(0x7fff_0000 | 0x0001_ffff, 0xffff_ffff, 21)).toEqual({
      at: 2 ** 49 - 1,
      sectorBytes: 8192 * 512,
    });
  });
});

describe('A13: what is wrong with an L2 entry', () => {
  test.each<[string, Shape, string | undefined]>([
    ['0000000000000000', {}, undefined],
    ['8000000000050000', { fileClusters: 6 }, undefined],
    ['8000000000050000', { fileClusters: 5 }, 'past-the-end'],
    ['8000000000050200', {}, 'misaligned'],
    ['8000000000050002', {}, 'reserved-bits'],
    ['8000000000050100', {}, 'reserved-bits'],
    ['0100000000050000', {}, 'reserved-bits'],
    ['2000000000050000', {}, 'reserved-bits'],
    ['0000000000000001', {}, undefined],
    ['0000000000000001', { version: 2 }, 'reserved-bits'],
    ['0000000000050001', { extended: true }, 'reserved-bits'],
    ['8000000000000000', {}, 'copied-without-offset'],
    ['8000000000000001', {}, 'copied-without-offset'],
    ['4000000000050000', { fileClusters: 6 }, undefined],
    ['400000000005ffff', { fileClusters: 6 }, undefined],
    ['408000000005ffff', { fileClusters: 6 }, 'past-the-end'],
    ['4000000000060000', { fileClusters: 6 }, 'past-the-end'],
    ['4000000000000200', {}, 'past-the-end'],
    ['c000000000050000', {}, 'copied-compressed'],
    ['4100000000000200', { bits: 9 }, 'reserved-bits'],
  ])('%s %j: %s', (hex, shape, problem) => {
    expect(judgeL2Entry(...words(hex), format(shape))).toBe(problem);
  });
});

describe('A13: what is wrong with an L1 entry', () => {
  test.each<[string, Shape, string | undefined]>([
    ['0000000000000000', {}, undefined],
    ['8000000000040000', {}, undefined],
    ['0000000000040000', {}, undefined],
    ['8000000000040001', {}, 'reserved-bits'],
    ['4000000000040000', {}, 'reserved-bits'],
    ['0100000000040000', {}, 'reserved-bits'],
    ['8000000000040200', {}, 'misaligned'],
    ['8000000000000000', {}, 'copied-without-offset'],
    ['8000000000040000', { fileClusters: 4 }, 'past-the-end'],
  ])('%s %j: %s', (hex, shape, problem) => {
    expect(judgeL1Entry(...words(hex), format(shape))).toBe(problem);
  });
});

test('an offset is bits 9 to 55, whatever the others are', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (word) => {
      const offset = offsetOf(Number(word >> 32n), Number(word & 0xffff_ffffn));
      expect(BigInt(offset)).toBe(word & 0x00ff_ffff_ffff_fe00n);
    }),
  );
});

test('every problem has words', () => {
  for (const text of Object.values(ENTRY_PROBLEM_TEXT))
    expect(text).toMatch(/^(has|does|points|is) /);
});
