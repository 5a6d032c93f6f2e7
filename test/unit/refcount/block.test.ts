import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { storedWords } from '../../../src/base/words.js';
import { decodeRefcounts, encodeRefcounts, firstAboveCap } from '../../../src/refcount/block.js';

const WIDTHS = [1, 2, 4, 8, 16, 32, 64] as const;

/** Spec, by definition: entry i is bits i*w … i*w+w-1; bit 0 of a sub-byte entry is the least. */
function refcountByDefinition(block: Uint8Array, width: number, index: number): bigint {
  if (width < 8) {
    let value = 0n;
    for (let bit = 0; bit < width; bit++) {
      const position = index * width + bit;
      const set = (BigInt(block[Math.floor(position / 8)]!) / 2n ** BigInt(position % 8)) % 2n;
      value += set * 2n ** BigInt(bit);
    }
    return value;
  }
  const bytes = block.slice((index * width) / 8, ((index + 1) * width) / 8);
  return bytes.reduce((value, byte) => value * 256n + BigInt(byte), 0n);
}

describe.each(WIDTHS)('R2: %d bits', (width) => {
  const entries = (64 * 8) / width;

  test('any block is decoded by definition', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (random) => {
        const block = random.slice();
        if (width === 64) block.forEach((_, i) => (block[i] = i % 8 < 4 ? 0 : block[i]!));
        const counts = width <= 16 ? new Uint16Array(entries) : new Uint32Array(entries);
        decodeRefcounts(block, width, counts);
        for (let i = 0; i < entries; i++) {
          expect(BigInt(counts[i]!)).toBe(refcountByDefinition(block, width, i));
        }
      }),
      { numRuns: 50 },
    );
  });

  test('encoding gives the same bytes back, over whatever lay there', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2 ** Math.min(width, 32) - 1), { minLength: entries, maxLength: entries }),
        (list) => {
          const counts = width <= 16 ? Uint16Array.from(list) : Uint32Array.from(list);
          const block = new Uint8Array(64).fill(0xa5);
          encodeRefcounts(counts, width, block);
          for (let i = 0; i < entries; i++) {
            expect(refcountByDefinition(block, width, i)).toBe(BigInt(list[i]!));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test('entries that are not given become 0', () => {
    const block = new Uint8Array(64).fill(0xff);
    encodeRefcounts(Uint16Array.of(1), width, block);
    expect(refcountByDefinition(block, width, 0)).toBe(1n);
    for (let i = 1; i < entries; i++) expect(refcountByDefinition(block, width, i)).toBe(0n);
  });
});

test('R2: bits are packed from the low end of each byte', () => {
  const four = new Uint16Array(4);
  decodeRefcounts(Uint8Array.of(0x21, 0x43), 4, four);
  expect([...four]).toEqual([1, 2, 3, 4]);
  const eight = new Uint16Array(8);
  decodeRefcounts(Uint8Array.of(0b1000_0001), 1, eight);
  expect([...eight]).toEqual([1, 0, 0, 0, 0, 0, 0, 1]);
});

test('R1: a 64-bit refcount above 2^32 - 1 is named and not cut off', () => {
  const block = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  const counts = new Uint32Array(2);
  decodeRefcounts(block, 64, counts);
  expect([...counts]).toEqual([0xffff_ffff, 1]);
  expect(firstAboveCap(storedWords(block))).toBe(0);
  expect(firstAboveCap(storedWords(block.slice(8)))).toBe(-1);
});
