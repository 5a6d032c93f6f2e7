/** What a choice lets the mender do to entries that have any flaws. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { catalogEntry, type FindingCode } from '../../../../src/read/check/catalog.js';
import { tableFormat } from '../../../../src/image/table-format.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { scanOf } from '../../../../src/l1l2/scan.js';
import type { RepairChoice } from '../../../../src/edit/repair/choice.js';
import { codesOfL1Entry, codesOfL2Entry } from '../../../../src/edit/repair/entry-codes.js';
import { flawOfL1Entry, flawOfL2Entry } from '../../../../src/edit/repair/mend-entry.js';
import { TableMender } from '../../../../src/edit/repair/mend-tables.js';
import { buildImage } from '../../../support/image-builder.js';

const TABLE_AT = 4096;
const CLUSTERS = 8;

const specimens = fc.record({
  version: fc.constantFrom(2, 3),
  extendedL2: fc.boolean(),
  cluster: fc.nat(CLUSTERS + 2),
  bits: fc.array(fc.integer({ min: 0, max: 63 }), { maxLength: 4 }),
  bitmap: fc.tuple(fc.constantFrom(0, 1, 3), fc.constantFrom(0, 1, 4)),
});

type Specimen = typeof specimens extends fc.Arbitrary<infer T> ? T : never;

async function mendersOf({ version, extendedL2, cluster, bits, bitmap }: Specimen) {
  const isExtended = extendedL2 && version === 3;
  const clusterBits = isExtended ? 14 : 12;
  const options = { clusterBits, refcountOrder: 4, extendedL2: isExtended, diskSizeBytes: 2 ** 20 };
  const bytes = new Uint8Array(CLUSTERS * 2 ** clusterBits);
  bytes.set(buildImage({ ...options, version: version }));
  const image = await openImage(memoryDevice(bytes));
  const format = tableFormat(image);
  const flip = (word: bigint, bit: number): bigint => word ^ (1n << BigInt(bit));
  const entry = bits.reduce(flip, (1n << 63n) | BigInt(cluster * 2 ** clusterBits));
  const [high, low] = [Number(entry >> 32n), Number(entry & 0xffff_ffffn)];
  const l2 = isExtended ? [high, low, ...bitmap] : [high, low];
  return {
    l1: [high, low],
    l2,
    l1Flaw: flawOfL1Entry(high, low, format),
    l2Flaw: flawOfL2Entry(l2, format),
    l1Codes: codesOfL1Entry(high, low, format),
    l2Codes: codesOfL2Entry(l2, format),
    isNowhere: (entry & 0x00ff_ffff_ffff_fe00n) === 0n,
    mend: (choice: RepairChoice, level: 'l1' | 'l2') => {
      const words = Uint32Array.from(level === 'l1' ? [high, low] : l2);
      const mender = new TableMender(image, format, choice);
      const mending =
        level === 'l1'
          ? mender.mendL1(words, 0, TABLE_AT)
          : mender.mendL2(words, 0, TABLE_AT, scanOf(format));
      return { mending, words: [...words] };
    },
  };
}

const NOTHING: RepairChoice = { classes: [] };
const named = (code: FindingCode, at: number): RepairChoice => ({
  classes: [],
  findings: [{ code, at }],
});

describe.each(['l1', 'l2'] as const)('an %s entry with any flaws', (level) => {
  test('stays byte for byte where nothing is chosen, but for what no check can read', async () => {
    await fc.assert(
      fc.asyncProperty(specimens, async (specimen) => {
        const it = await mendersOf(specimen);
        const { mending, words } = it.mend(NOTHING, level);
        const flaw = level === 'l1' ? it.l1Flaw : it.l2Flaw;
        if (level === 'l1' && it.isNowhere) return;
        expect(words).toEqual(it[level]);
        expect(mending).toBe(flaw ?? 'sound');
      }),
      { numRuns: 300 },
    );
  });

  test('is given up only by a finding whose remedy is to give it up, and not for its bits', async () => {
    let zeroed = 0;
    let kept = 0;
    await fc.assert(
      fc.asyncProperty(specimens, fc.nat(), async (specimen, which) => {
        const it = await mendersOf(specimen);
        const codes = level === 'l1' ? it.l1Codes : it.l2Codes;
        const code = codes[which % Math.max(1, codes.length)];
        if (code === undefined || (level === 'l1' && it.isNowhere)) return;
        const { mending } = it.mend(named(code, TABLE_AT), level);
        if (catalogEntry(code).remedy === 'unreadable') zeroed += Number(mending === 'zeroed');
        else {
          expect(mending, `${code} of ${codes.join()}`).not.toBe('zeroed');
          kept += Number(mending === 'unreadable');
        }
        // A finding elsewhere is another one.
        expect(it.mend(named(code, TABLE_AT + 64), level).words).toEqual(it[level]);
      }),
      { numRuns: 1000 },
    );
    expect(zeroed).toBeGreaterThan(50);
    expect(kept).toBeGreaterThan(5);
  });

  test('is mended by the classes as far as can be', async () => {
    await fc.assert(
      fc.asyncProperty(specimens, async (specimen) => {
        const it = await mendersOf(specimen);
        const all: RepairChoice = { classes: ['all', 'unreadable'] };
        const { mending, words } = it.mend(all, level);
        const flaw = level === 'l1' ? it.l1Flaw : it.l2Flaw;
        if (flaw === undefined) expect(mending).toBe('sound');
        else if (flaw === 'bits') expect(['mended', 'bits']).toContain(mending);
        else expect(mending).toBe('zeroed');
        if (mending === 'sound') expect(words).toEqual(it[level]);
      }),
      { numRuns: 300 },
    );
  });
});
