/** The first look at a cluster, against the readable judgement of every entry. */
import { describe, expect, test } from 'vitest';
import { storedWords, swapWords } from '../../../../src/base/words.js';
import { scanOf } from '../../../../src/l1l2/scan.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import {
  ALL_ZERO,
  firstLook,
  NO_TABLE,
  PERHAPS_TABLE,
} from '../../../../src/read/scan/first-look.js';
import {
  isTableLike,
  contentsAsL1,
  contentsAsL2,
} from '../../../../src/read/scan/table-contents.js';
import { seededRandom } from '../../../support/mutate.js';
import { seedOf } from '../../../support/model-random.js';

const CLUSTER_BITS = 12;
const geometry = geometryOf(CLUSTER_BITS, 4, false);
const scan = scanOf({ geometry, version: 3, fileClusters: 1000 });
const seed = seedOf();

/** The bytes of a cluster with these entries at its start, as the host reads them. */
function stored(...entries: readonly bigint[]): Uint32Array {
  const bytes = new Uint8Array(geometry.clusterBytes);
  const view = new DataView(bytes.buffer);
  entries.forEach((entry, i) => {
    view.setBigUint64(i * 8, entry);
  });
  return storedWords(bytes);
}

function look(words: Uint32Array): number {
  return firstLook(words, 0, words.length, scan);
}

describe('the first look', () => {
  test('zeros are zeros', () => {
    expect(look(stored())).toBe(ALL_ZERO);
  });

  test('an entry that can be one asks for a closer look, behind zeros too', () => {
    expect(look(stored(0x8000_0000_0000_5000n))).toBe(PERHAPS_TABLE);
    expect(look(stored(0n, 0n, 0n, 0x5000n))).toBe(PERHAPS_TABLE);
  });

  test('text is none, and needs no more than its first words', () => {
    const bytes = new TextEncoder().encode('The image is unchanged. '.repeat(200));
    const words = storedWords(bytes.slice(0, geometry.clusterBytes));
    expect(look(words)).toBe(NO_TABLE);
  });

  test('one damaged entry before sound ones hides nothing', () => {
    expect(look(stored(0xffff_ffff_ffff_ffffn, 0x8000_0000_0000_5000n))).toBe(PERHAPS_TABLE);
  });

  test('a place past the end of the file is none', () => {
    const past = BigInt(1000 * geometry.clusterBytes);
    expect(look(stored(past, past, past, past, past))).toBe(NO_TABLE);
  });

  test('random bytes are told at once, whatever a closer look would find', () => {
    const random = seededRandom(seed);
    let closer = 0;
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from({ length: geometry.clusterBytes }, () => random(256));
      if (look(storedWords(bytes)) !== NO_TABLE) closer += 1;
    }
    expect(closer, `seed ${seed}`).toBeLessThan(20);
  });
});

describe('the closer look', () => {
  const tally = (...entries: readonly bigint[]) => {
    const words = stored(...entries);
    swapWords(words);
    return contentsAsL2(words, scan);
  };

  test('counts what kind of entries there are', () => {
    expect(tally(0x8000_0000_0000_5000n, 0x6000n, 1n, 0x4000_0000_0000_7000n, 2n)).toEqual({
      pointers: 3,
      copied: 1,
      compressed: 1,
      zeros: 1,
      flawed: 1,
    });
  });

  test('an entry of an L1 table is never compressed, and none reads as zeros by a flag', () => {
    const words = stored(0x8000_0000_0000_5000n, 0x6000n, 1n, 0x4000_0000_0000_7000n);
    swapWords(words);
    expect(contentsAsL1(words, scan)).toMatchObject({ pointers: 2, copied: 1, flawed: 2 });
  });

  test('one wrong entry is damage, two in a table of few are no table', () => {
    expect(isTableLike(tally(0x8000_0000_0000_5000n, 2n))).toBe(true);
    expect(isTableLike(tally(0x8000_0000_0000_5000n, 2n, 2n))).toBe(false);
    const many = Array.from({ length: 64 }, (_, i) => BigInt((i + 1) * geometry.clusterBytes));
    expect(isTableLike(tally(...many, 2n, 2n))).toBe(true);
  });
});
