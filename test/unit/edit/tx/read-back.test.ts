import { expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { planDelete } from '../../../../src/edit/snapshot/delete.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { beforeSwitch, readBackSwitch, readBackWrites } from '../../../../src/edit/tx/read-back.js';
import { loadFixture } from '../../../support/fixture.js';

test('what an edit wrote reads back, until a byte of it is another', async () => {
  const device = memoryDevice(loadFixture('cluster-512'));
  const image = await openImage(device);
  const plan = await planDelete(image, [image.snapshots[0]!]);
  expect(plan.shadow.length).toBeGreaterThan(0);
  await expect(readBackSwitch(device, plan), 'before it is written').rejects.toMatchObject({
    code: 'VERIFY_FAILED',
    details: { structure: 'header', at: plan.switch.at },
  });
  await executePlan(plan);
  await readBackWrites(device, plan.shadow);
  await readBackSwitch(device, plan);
  expect(await checkImage(device)).toMatchObject({ exitCode: 0 });

  const write = plan.shadow.find((one) => 'at' in one);
  const byte = new Uint8Array(1);
  await device.readBatch([{ at: write!.at, into: byte }]);
  const other = memoryDevice(device.snapshotBytes());
  await other.writeBatch([{ at: write!.at, bytes: Uint8Array.of(byte[0]! ^ 1) }]);
  await expect(readBackWrites(other, plan.shadow)).rejects.toMatchObject({
    code: 'VERIFY_FAILED',
    details: { structure: write!.what, at: write!.at },
  });
});

test('the state before the switch is seen as the switch will make it', async () => {
  const bytes = loadFixture('cluster-512');
  const device = memoryDevice(bytes);
  const image = await openImage(device);
  const plan = await planDelete(image, [image.snapshots[0]!]);
  await executePlan(plan);
  const after = device.snapshotBytes();
  const { at } = plan.switch;
  await device.writeBatch([{ at, bytes: bytes.slice(at, at + plan.switch.bytes.length) }]);
  const seen = await openImage(await beforeSwitch(device, plan));
  expect(seen.snapshots).toHaveLength(image.snapshots.length - 1);
  expect(await checkImage(await beforeSwitch(device, plan))).toMatchObject({ exitCode: 0 });
  expect(await checkImage(memoryDevice(after))).toMatchObject({ exitCode: 0 });
});
