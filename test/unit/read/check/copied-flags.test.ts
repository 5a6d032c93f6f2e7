import { describe, expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import type { BlockSource } from '../../../../src/io/device.js';
import { loadFixture } from '../../../support/fixture.js';

/** These bytes, then zeros for as far as the file is long; tells how often each place was read. */
function sparse(bytes: Uint8Array, sizeBytes: number) {
  const reads = new Map<number, number>();
  const source: BlockSource = {
    label: 'sparse',
    sizeBytes: () => Promise.resolve(sizeBytes),
    readBatch: (requests) => {
      for (const { at, into } of requests) {
        reads.set(at, (reads.get(at) ?? 0) + 1);
        const there = bytes.subarray(Math.min(at, bytes.length), at + into.length);
        into.set(there);
        into.fill(0, there.length);
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  return { source, reads };
}

/** As the header says. */
const clusterBytes = (bytes: Uint8Array): number => 2 ** bytes[23]!;

/** Where the first L2 table of the active L1 lies. */
function firstL2(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Number(view.getBigUint64(Number(view.getBigUint64(40))) & 0x00ff_ffff_ffff_fe00n);
}

describe('COPIED flags in a long file', () => {
  const CLUSTERS = 2 ** 26;

  test('right ones: one walk over the tables is enough', async () => {
    const bytes = loadFixture('version-3');
    const { source, reads } = sparse(bytes, CLUSTERS * clusterBytes(bytes));
    const { findings } = await checkImage(source);
    expect(findings).toEqual([]);
    expect(reads.get(firstL2(bytes))).toBe(1);
  });

  test('wrong ones are all found', async () => {
    const bytes = loadFixture('copied-flags-wrong');
    const whole = await checkImage(sparse(bytes, bytes.length).source);
    const long = await checkImage(sparse(bytes, CLUSTERS * clusterBytes(bytes)).source);
    expect(long.findings).toEqual(whole.findings);
    expect(long.findings.map(({ code }) => code)).toContain('L2_COPIED_SET');
  });
});
