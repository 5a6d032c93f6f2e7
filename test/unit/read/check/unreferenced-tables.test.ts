import { expect, test } from 'vitest';
import { checkImage, memoryDevice } from '../../../../src/index.js';
import { patientOf } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import { buildImage, guestZero, layoutOf } from '../../../support/image-builder.js';
import { OFFSET_MASK, putU64, u64 } from '../../../support/image-builder-layout.js';

/** An image with a table of `zeros` entries that read as zeros, which its L1 table has lost. */
function withLostZeros(zeros: number, backing: boolean): Uint8Array {
  const options = { version: 3, clusterBits: 12, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 20 }) };
  for (let cell = 0; cell < zeros; cell++) guestZero(disk, cell * 2, false);
  const { l1At } = layoutOf(disk.bytes);
  expect(u64(disk.bytes, l1At)).not.toBe(0n);
  disk.bytes.fill(0, l1At, l1At + 8);
  if (!backing) return disk.bytes;
  const view = new DataView(disk.bytes.buffer);
  view.setBigUint64(8, 1000n);
  view.setUint32(16, 4);
  disk.bytes.set(new TextEncoder().encode('base'), 1000);
  return disk.bytes;
}

test('over a backing file a table of entries that read as zeros is a loss', async () => {
  const report = await checkImage(memoryDevice(withLostZeros(8, true)));
  expect(report.exitCode).toBe(2);
  const { message } = report.findings.find(({ code }) => code === 'TABLE_UNREFERENCED')!;
  expect(message).toContain('looks like a table with 8 entries that read as zeros');
  expect(report.unreferenced).toMatchObject({ clusters: 1, tables: 1, data: 0, zeros: 0 });
});

test('without one it says what the guest reads anyway', async () => {
  const report = await checkImage(memoryDevice(withLostZeros(8, false)));
  expect(report.findings.map(({ code }) => code)).not.toContain('TABLE_UNREFERENCED');
});

test('what nothing refers to is counted by what it holds', async () => {
  const { bytes, standard } = patientOf(loadFixture('no-snapshots'));
  for (const { at } of standard.slice(0, 2)) putU64(bytes, at, 0n);
  const { at: cluster } = standard.map(({ entry }) => ({ at: Number(entry & OFFSET_MASK) }))[0]!;
  bytes.fill(0, cluster, cluster + 65_536);
  const report = await checkImage(memoryDevice(bytes));
  const seen = { clusters: 2, tables: 0, data: 1, zeros: 1, notLookedAt: 0 };
  expect(report.unreferenced).toEqual(seen);
  const few = await checkImage(memoryDevice(bytes), { lookBytes: 0 });
  expect(few.unreferenced).toEqual({ ...seen, data: 0, zeros: 0, notLookedAt: 2 });
});
