import { expect, test } from 'vitest';
import { dehydrateImage, memoryDevice, openForReading } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';
import { putU32, putU64 } from '../../support/image-builder-layout.js';

test('of an L1 table of one entry that leads to what a guest wrote nothing is copied', async () => {
  const bytes = loadFixture('no-snapshots').slice();
  const at = 6 * 65_536;
  bytes.set(new TextEncoder().encode('MARKER01'), at);
  putU32(bytes, 36, 1);
  putU64(bytes, 40, BigInt(at));
  const copy = memoryDevice();
  const report = await dehydrateImage(await openForReading(memoryDevice(bytes)), copy);
  expect(report.leftOut).toMatchObject([{ reason: 'no-table', clusters: 1, firstAt: at }]);
  expect(Buffer.from(copy.snapshotBytes()).includes('MARKER01')).toBe(false);
});
