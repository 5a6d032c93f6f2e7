/** The findings by which a repair lets an entry be chosen are those that a check has for it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import type { FindingCode } from '../../../../src/read/check/catalog.js';
import { tableFormat } from '../../../../src/image/table-format.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { COMPRESSED, type TableFormat } from '../../../../src/l1l2/entry.js';
import { codesOfL1Entry, codesOfL2Entry } from '../../../../src/edit/repair/entry-codes.js';
import {
  buildImage,
  guestWrite,
  layoutOf,
  type BuildOptions,
} from '../../../support/image-builder.js';

const FORMATS: readonly (BuildOptions & { readonly name: string })[] = [
  { name: 'version 2', version: 2, clusterBits: 12, refcountOrder: 4, extendedL2: false },
  { name: 'version 3', version: 3, clusterBits: 12, refcountOrder: 4, extendedL2: false },
  { name: 'extended L2 entries', version: 3, clusterBits: 14, refcountOrder: 4, extendedL2: true },
].map((format) => ({ ...format, diskSizeBytes: 2 ** 20 })) as never;

/** An image with two clusters of data, and where its L1 and L2 entries lie. */
async function specimenOf(options: BuildOptions): Promise<{
  bytes: Uint8Array;
  view: DataView;
  l1At: number;
  l2At: number;
  format: TableFormat;
}> {
  const disk = { bytes: buildImage(options) };
  for (const cell of [0, 1]) guestWrite(disk, cell, 1 + cell);
  const bytes = disk.bytes.slice();
  const view = new DataView(bytes.buffer);
  const { l1At } = layoutOf(bytes);
  const l2At = Number(view.getBigUint64(l1At) & 0x00ff_ffff_ffff_fe00n);
  return { bytes, view, l1At, l2At, format: tableFormat(await openImage(memoryDevice(bytes))) };
}

/** Findings about the entry itself, and not about what it leads to. */
const OF_ENTRIES =
  /^(L[12]_ENTRY_|L2_COMPRESSED_|L2_SUBCLUSTERS_|ZERO_FLAG_MEANINGLESS|COPIED_WITHOUT_CLUSTER)/;

async function codesFound(bytes: Uint8Array, at: number): Promise<FindingCode[]> {
  const { findings } = await checkImage(memoryDevice(bytes));
  const codes = findings.filter((one) => one.at === at && OF_ENTRIES.test(one.code));
  return [...new Set(codes.map(({ code }) => code))].toSorted();
}

/** Bits that are set or cleared in an entry of which most is right. */
const flips = fc.array(fc.integer({ min: 0, max: 63 }), { minLength: 1, maxLength: 4 });
const bitmaps = fc.constantFrom(0n, 1n, 1n << 32n, (1n << 32n) | 1n, 0xffff_ffffn);

describe.each(FORMATS)('$name', (options) => {
  test('every flaw of an L2 entry', async () => {
    const { bytes, view, l2At, format } = await specimenOf(options);
    const right = view.getBigUint64(l2At);
    let flawed = 0;
    const property = fc.asyncProperty(flips, bitmaps, async (bits, bitmap) => {
      const entry = bits.reduce((word, bit) => word ^ (1n << BigInt(bit)), right);
      view.setBigUint64(l2At, entry);
      if (options.extendedL2) view.setBigUint64(l2At + 8, bitmap);
      const stride = options.extendedL2 ? 4 : 2;
      const words = Uint32Array.from({ length: stride }, (_, i) => view.getUint32(l2At + 4 * i));
      const found = await codesFound(bytes, l2At);
      // Of packed clusters it may be another finding that says so: the file was cut off, or a bitmap is wrong.
      const isPacked = (words[0]! & COMPRESSED) !== 0 && !found.includes('L2_ENTRY_PAST_END');
      const codes = [...new Set(codesOfL2Entry([...words], format))]
        .filter((code) => !isPacked || code !== 'L2_ENTRY_PAST_END')
        .toSorted();
      expect(codes, `0x${entry.toString(16)} ${bitmap}`).toEqual(found);
      flawed += Number(codes.length > 0);
    });
    await fc.assert(property, { numRuns: 50 });
    expect(flawed).toBeGreaterThan(15);
  });

  test('every flaw of an L1 entry', async () => {
    const { bytes, view, l1At, format } = await specimenOf(options);
    const right = view.getBigUint64(l1At);
    let flawed = 0;
    const property = fc.asyncProperty(flips, async (bits) => {
      const entry = bits.reduce((word, bit) => word ^ (1n << BigInt(bit)), right);
      view.setBigUint64(l1At, entry);
      const [high, low] = [view.getUint32(l1At), view.getUint32(l1At + 4)];
      const codes = [...new Set(codesOfL1Entry(high, low, format))].toSorted();
      expect(codes, `0x${entry.toString(16)}`).toEqual(await codesFound(bytes, l1At));
      flawed += Number(codes.length > 0);
    });
    await fc.assert(property, { numRuns: 50 });
    expect(flawed).toBeGreaterThan(15);
  });
});
