/** What long runs of the fuzzer found, each as a recipe as short as it could be made. */
import { describe, expect, test } from 'vitest';
import { checkImage, executePlan, memoryDevice, proposeRepair } from '../../../src/index.js';
import {
  at,
  CLUSTER,
  compressedEntry,
  EXTENSION,
  patch,
  plainImage,
  type Patch,
  type PlainImageOptions,
} from './plain-image.js';

async function repaired(patches: readonly Patch[], options: PlainImageOptions = {}) {
  const image = plainImage(options);
  patch(image, patches);
  const device = memoryDevice(image);
  const { plan } = await proposeRepair(device, () => ({ classes: ['leaks', 'perhaps-lost'] }));
  const before = await checkImage(device);
  if (plan !== undefined) await executePlan(plan);
  const after = await checkImage(device);
  return { before, after };
}

describe('a repair of leaks keeps what a bad L1 entry names', () => {
  // It counted nothing for an entry that stays as it is: the clusters below became free, and the
  // next edit would have written over what may be all that is left of the table.
  test('a misaligned entry over two clusters that a snapshot has, too', async () => {
    const { before, after } = await repaired([[at('activeL1'), 8, at('l2', 0x400)]]);
    expect(before.totals.leaks).toBeGreaterThan(0);
    const codes = after.findings.map(({ code }) => code);
    expect(codes).not.toContain('REFCOUNT_TOO_LOW');
    expect(codes).not.toContain('REFCOUNT_ZERO');
    expect(after.totals.leaks).toBe(0);
  });

  test('a misaligned entry that alone names them', async () => {
    const { after } = await repaired([
      [at('activeL1'), 8, at('l2', 0x400)],
      [at('snapshotL1'), 8, 0],
    ]);
    const codes = after.findings.map(({ code }) => code);
    expect(codes).not.toContain('REFCOUNT_ZERO');
    expect(codes).not.toContain('REFCOUNT_TOO_LOW');
  });
});

/** A repair that would bring what is named behind the end of the file into it, as zeros. */
async function expectRefused(patches: readonly Patch[], options: PlainImageOptions = {}) {
  const image = plainImage(options);
  patch(image, patches);
  const device = memoryDevice(image.slice());
  const making = proposeRepair(device, () => ({ classes: ['leaks', 'perhaps-lost'] }));
  await expect(making).rejects.toMatchObject({ code: 'REPAIR_REFUSED' });
  expect(Buffer.compare(device.snapshotBytes(), image)).toBe(0);
}

// New tables went behind what it claims, the file grew past that, and what was out of the file was in
// it: clusters that were named by the header and counted as free.
test('the file does not grow over what a LUKS header claims behind its end', async () => {
  const patches = [[EXTENSION.encryption + 16, 8, 2 ** 27 + CLUSTER]] as const;
  await expectRefused(patches, { luks: true });
});

// The same of an L1 entry that stays: the table that it names would be in the file, all zeros.
test('the file does not grow over what an L1 entry names behind its end', async () => {
  const beyond = at('end');
  const patches: Patch[] = [
    [at('activeL1'), 8, (1n << 63n) | BigInt(beyond)],
    // So that refcounts have to be written anew, and the file grows.
    [at('refcountTable', 8), 8, at('refcountBlock', CLUSTER / 2)],
  ];
  await expectRefused(patches);
});

// Its cluster has one reference by then: what check says of flags holds for such entries, too.
test('the COPIED flag of an entry that stays follows the refcount of what it names', async () => {
  for (const entry of [at('l2', 0x200), 0x7000_0000]) {
    const { before, after } = await repaired([[at('activeL1'), 8, entry]]);
    expect(after.totals.corruptions).toBeLessThanOrEqual(before.totals.corruptions);
    const codes = after.findings.map(({ code }) => code);
    expect(codes.filter((code) => code.startsWith('L1_COPIED'))).toEqual([]);
  }
});

// A check counts no such entry. It was counted, and a cluster with a reference got one too many.
test('an entry of a bitmap that counts nowhere raises no refcount, and frees nothing', async () => {
  for (const [cluster, leaks] of [
    ['l2', 0],
    ['data', 0],
    ['bitmapData', 1],
  ] as const) {
    const patches = [[at('bitmapTable'), 8, (1n << 62n) | BigInt(at(cluster))]] as const;
    const { before, after } = await repaired(patches, { bitmaps: true });
    expect(before.findings.map(({ code }) => code)).toContain('BITMAP_TABLE_ENTRY_INVALID');
    expect(before.totals).toMatchObject({ corruptions: 1, leaks: 1 });
    expect(after.totals).toMatchObject({ corruptions: 1, leaks });
  }
});

// An offset of 0 was taken for none: the header's cluster came out of it with one reference.
test('compressed data that is the header is counted where it lies', async () => {
  const entry = at('l2', 8);
  const { before, after } = await repaired([
    [entry, 8, compressedEntry(512, 0)],
    [at('refcountBlock'), 2, 9],
  ]);
  expect(before.totals.corruptions).toBe(0);
  const header = before.findings.find(({ code }) => /TOO_HIGH|REFERENCES_PERHAPS/.test(code));
  expect(header?.owners?.map(({ kind }) => kind)).toContain('compressed-data');
  expect(after.totals).toMatchObject({ corruptions: 0, leaks: 0 });
});
