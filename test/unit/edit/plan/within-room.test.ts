import { expect, test } from 'vitest';
import {
  editAllWithinRoom,
  editWithinRoom,
  planWithinRoom,
  type EditOf,
} from '../../../../src/edit/plan/within-room.js';
import { QsnapError } from '../../../../src/errors.js';
import { openImage, type OpenOptions } from '../../../../src/image/open.js';
import type { BlockSource } from '../../../../src/io/device.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { proposeRepair, type ProposedRepair } from '../../../../src/edit/repair/propose.js';
import { planCreate } from '../../../../src/edit/snapshot/create.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { executeTogether } from '../../../../src/edit/tx/execute-together.js';
import type { EditPlan } from '../../../../src/edit/tx/plan.js';
import { checkPlain } from '../../../support/crash-judge.js';
import { HARMLESS_DAMAGE, patientOf } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import {
  blockAt,
  blockEntries,
  layoutOf,
  putRefcountAt,
} from '../../../support/image-builder-layout.js';
import { seededRandom } from '../../../support/mutate.js';

/** An image with a refcount that is wrong, and free clusters at its end. */
function damagedWithRoom(clusters: number): Uint8Array {
  const patient = patientOf(loadFixture('cluster-4k'));
  HARMLESS_DAMAGE['refcount too low']!(patient, seededRandom(1));
  const { clusterBytes } = layoutOf(patient.bytes);
  const whole = Math.ceil(patient.bytes.length / clusterBytes);
  const bytes = new Uint8Array((whole + clusters) * clusterBytes);
  bytes.set(patient.bytes);
  return bytes;
}

const repair =
  <Source extends BlockSource>(source: Source) =>
  (how: OpenOptions = {}): Promise<ProposedRepair<Source>> =>
    proposeRepair(source, () => ({ classes: ['all'] }), how);
const create =
  <Source extends BlockSource>(source: Source) =>
  async (how: OpenOptions = {}): Promise<{ plan: EditPlan<Source> }> => {
    const date = { seconds: 0, nanoseconds: 0 };
    return { plan: await planCreate(await openImage(source, how), { name: 'new', date }) };
  };

test('a repair whose file turns out not to grow uses the free clusters inside', async () => {
  const bytes = damagedWithRoom(16);
  const device = memoryDevice(bytes, 'full', { capacityBytes: bytes.length });
  const growths: number[] = [];
  await editWithinRoom(device, repair(device), async ({ plan }) => {
    growths.push(plan!.facts.growthBytes);
    return executePlan(plan!);
  });
  expect(growths).toEqual([expect.any(Number), 0]);
  expect(growths[0]).toBeGreaterThan(0);
  const after = device.snapshotBytes();
  expect(after.length).toBe(bytes.length);
  expect(checkPlain(after)).toEqual({ corruptions: [], leaks: new Map() });
});

test('of several images all are planned anew where one file turns out not to grow', async () => {
  const bytes = damagedWithRoom(16);
  const other = memoryDevice(loadFixture('cluster-512'), 'other');
  const device = memoryDevice(bytes, 'full', { capacityBytes: bytes.length });
  const growths: (readonly number[])[] = [];
  const edits: readonly EditOf<{ plan: EditPlan<MemoryDevice> | undefined }>[] = [
    { source: other, make: create(other) },
    { source: device, make: repair(device) },
  ];
  const record = {
    prepare: () => Promise.resolve(),
    write: () => Promise.resolve(),
    discard: () => Promise.resolve(),
    takeBack: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  };
  await editAllWithinRoom(edits, async (made) => {
    growths.push(made.map(({ plan }) => plan!.facts.growthBytes));
    return executeTogether(
      made.map(({ plan }) => ({ plan: plan! })),
      { record },
    );
  });
  const [[ofOther, ofFull], again] = growths as [[number, number], readonly number[]];
  expect(ofFull).toBeGreaterThan(0);
  expect(again).toEqual([ofOther, 0]);
  for (const image of [other, device]) {
    expect(checkPlain(image.snapshotBytes())).toEqual({ corruptions: [], leaks: new Map() });
  }
});

test('without free clusters inside, the failure of the medium is told', async () => {
  // A repair needs a refcount block and a refcount table.
  const { bytes, free, layout } = patientOf(damagedWithRoom(0));
  for (const cluster of free.slice(1)) {
    const block = blockAt(bytes, layout, cluster);
    putRefcountAt(bytes, block, layout.refcountBits, cluster % blockEntries(layout), 1n);
  }
  const device = memoryDevice(bytes, 'full', { capacityBytes: bytes.length });
  const editing = editWithinRoom(device, repair(device), ({ plan }) => executePlan(plan!));
  await expect(editing).rejects.toMatchObject({ code: 'NO_SPACE', details: { imageState: 'old' } });
  expect(Buffer.compare(device.snapshotBytes(), bytes)).toBe(0);
});

test('where the host says how much there is, nothing is written in vain', async () => {
  const device = memoryDevice(damagedWithRoom(16));
  const source = { ...reads(device), roomBytes: () => Promise.resolve(4096) };
  expect((await planWithinRoom(source, repair(source))).plan!.facts.growthBytes).toBe(0);
  const roomy = { ...source, roomBytes: () => Promise.resolve(2 ** 20) };
  expect((await planWithinRoom(roomy, repair(roomy))).plan!.facts.growthBytes).toBeGreaterThan(0);
});

test('what is missing is what the file would grow by, less the room that there is', async () => {
  const device = memoryDevice(loadFixture('cluster-4k'));
  const { plan } = await create(device)();
  expect(await device.sizeBytes()).toBeLessThan(2 ** 22);
  const growth = plan.facts.growthBytes;
  expect(growth).toBeGreaterThan(4096);
  for (const room of [0, 4096]) {
    const source = { ...reads(device), roomBytes: () => Promise.resolve(room) };
    await expect(planWithinRoom(source, create(source))).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: `the edit needs ${growth - room} bytes more than the medium has free`,
      details: { bytesNeeded: growth - room, imageState: 'unchanged' },
    });
  }
  const fixed = { ...reads(device), growable: false };
  await expect(planWithinRoom(fixed, create(fixed))).rejects.toMatchObject({
    details: { bytesNeeded: growth },
  });
});

test('what fails for another reason is not tried again', async () => {
  const device = memoryDevice(loadFixture('cluster-4k'));
  let tries = 0;
  const failing = editWithinRoom(device, create(device), () => {
    tries += 1;
    throw new QsnapError('WRITE_FAILED', 'no', { imageState: 'old' });
  });
  await expect(failing).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  expect(tries).toBe(1);
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
});

function reads(device: BlockSource): BlockSource {
  return {
    label: device.label,
    sizeBytes: () => device.sizeBytes(),
    readBatch: (requests) => device.readBatch(requests),
    close: () => device.close(),
  };
}
