import { describe, expect, test } from 'vitest';
import {
  findVmState,
  openImage,
  openVmState,
  planStrip,
  type OpenImage,
  type StripOptions,
} from '../../../../src/index.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { loadFixture } from '../../../support/fixture.js';
import { checkImage, layoutOf, readGuest, snapshotsOf } from '../../../support/image-builder.js';
import { withLeftOver, withTold } from '../../../support/left-over-vm-state.js';
import { expectSame } from '../../api/images.js';
import { codeOf } from '../snapshot/edited.js';

/** A stripped image, after a full check of it, and the plan. */
async function stripped(
  bytes: Uint8Array,
  optionsOf: (image: OpenImage) => StripOptions = () => ({}),
) {
  const device = memoryDevice(bytes.slice());
  const image = await openImage(device);
  const plan = await planStrip(image, optionsOf(image));
  await executePlan(plan);
  const after = device.snapshotBytes();
  expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
  expect(disksOf(after)).toEqual(disksOf(bytes));
  return { plan, after, opened: await openImage(memoryDevice(after)) };
}

function disksOf(bytes: Uint8Array): readonly string[] {
  return [layoutOf(bytes), ...snapshotsOf(bytes).snapshots].map((disk) =>
    Buffer.from(readGuest(bytes, disk)).toString('base64'),
  );
}

/** The whole stream of a snapshot. */
async function streamOf(bytes: Uint8Array, position: number): Promise<Uint8Array> {
  const image = await openImage(memoryDevice(bytes));
  const state = await openVmState(image, image.snapshots[position]!);
  const into = new Uint8Array(state.survey.streamBytes!);
  await state.source.readBatch([{ at: 0, into }]);
  await state.close();
  return into;
}

const behindOf = async (bytes: Uint8Array): Promise<readonly [string | undefined, number][]> =>
  (await findVmState(await openImage(memoryDevice(bytes))))
    .filter(({ behindBytes }) => behindBytes > 0)
    .map(({ snapshot, behindBytes }) => [snapshot?.id, behindBytes]);

describe.each([
  ['vm-state', 0],
  ['vm-state', 1],
  ['vm-state-v2', 0],
  ['vm-state-v2', 1],
  ['vm-state-extended-l2', 0],
])('%s, snapshot #%i', (fixture, position) => {
  const bytes = loadFixture(fixture);
  const { clusterBytes } = layoutOf(bytes);
  const { id } = snapshotsOf(bytes).snapshots[position]!;

  test.each([1, 3])('%i clusters behind the VM state are taken out, and it stays', async (more) => {
    const left = withLeftOver(bytes, position, more);
    expect(checkImage(left)).toEqual({ corruptions: [], leaks: [] });
    expect((await behindOf(left)).find(([one]) => one === id)).toEqual([id, more * clusterBytes]);
    const { plan, after, opened } = await stripped(left);
    expect(plan.disks.map(({ snapshot }) => snapshot?.id)).toContain(id);
    expect(plan.summary).toContain('take VM state out of ');
    expect(await behindOf(after)).toEqual([]);
    expectSame(await streamOf(after, position), await streamOf(bytes, position));
    const fields = opened.snapshots.map(({ vmStateBytes, date }) => [vmStateBytes, date]);
    const before = await openImage(memoryDevice(bytes));
    expect(fields).toEqual(before.snapshots.map(({ vmStateBytes, date }) => [vmStateBytes, date]));
  });

  test('a whole VM state that the entry does not tell of is taken out', async () => {
    const { plan, after } = await stripped(withTold(bytes, position, 0));
    expect(plan.disks.some(({ snapshot }) => snapshot?.id === id)).toBe(true);
    expect(await behindOf(after)).toEqual([]);
    const image = await openImage(memoryDevice(after));
    expect(await findVmState(image, [image.snapshots[position]!])).toEqual([]);
  });

  test('a stream that is longer than its entry tells stays, as mapped-ram has it', async () => {
    const { plan, after } = await stripped(withTold(bytes, position, clusterBytes));
    expect(plan.disks.map(({ snapshot }) => snapshot?.id)).not.toContain(id);
    expectSame(await streamOf(after, position), await streamOf(bytes, position));
  });

  test('whole, nothing of it is left, and the entry tells so', async () => {
    const { after, opened } = await stripped(bytes, ({ snapshots }) => ({
      snapshots: [snapshots[position]!],
      whole: true,
    }));
    expect(opened.snapshots[position]).toMatchObject({ vmStateBytes: 0, vmStateBytes32: 0 });
    const [own] = await findVmState(opened, [opened.snapshots[position]!]);
    expect(own).toBeUndefined();
    const others = snapshotsOf(bytes).snapshots.flatMap((one, i) =>
      i !== position && one.vmStateBytes > 0n ? [i] : [],
    );
    for (const i of others) expectSame(await streamOf(after, i), await streamOf(bytes, i));
  });
});

test('where no VM state is left over, nothing changes', async () => {
  const bytes = loadFixture('five-snapshots');
  const { plan, after } = await stripped(bytes);
  expect(plan.disks).toEqual([]);
  expect(plan.summary).toBe('take VM state out of no disk');
  expectSame(after, bytes);
});

test('the summary names the disks', async () => {
  const bytes = loadFixture('vm-state');
  const both = withTold(withTold(bytes, 0, 0), 1, 0);
  expect((await stripped(both)).plan.summary).toBe(
    'take VM state out of snapshot 1 "booted", snapshot 2 "running"',
  );
});

test('a stream without an end is left alone', async () => {
  const left = withLeftOver(loadFixture('vm-state'), 0, 1);
  const { l1At } = snapshotsOf(left).snapshots[0]!;
  const view = new DataView(left.buffer);
  const table = Number(view.getBigUint64(l1At + 8) & 0x00ff_ffff_ffff_fe00n);
  // But for how it begins nothing of it is right.
  for (let i = 0; i < 3; i += 1) {
    const host = Number(view.getBigUint64(table + i * 8) & 0x00ff_ffff_ffff_fe00n);
    left.fill(0x55, host + (i === 0 ? 8 : 0), host + 65_536);
  }
  const damaged = await openImage(memoryDevice(left));
  await expect(planStrip(damaged)).rejects.toMatchObject({
    code: 'VM_STATE_INVALID',
    message: expect.stringContaining('the VM state of snapshot 1 "booted" ends') as unknown,
    details: { snapshotId: '1', snapshotName: 'booted' },
  });
});

// It was said that the snapshot has none, which its entry belies.
test('a stream that begins wrongly is left alone', async () => {
  const left = withLeftOver(loadFixture('vm-state'), 1, 1);
  const { l1At } = snapshotsOf(left).snapshots[1]!;
  const view = new DataView(left.buffer);
  const table = Number(view.getBigUint64(l1At + 8) & 0x00ff_ffff_ffff_fe00n);
  const host = Number(view.getBigUint64(table) & 0x00ff_ffff_ffff_fe00n);
  left.fill(0x55, host, host + 8);
  const damaged = await openImage(memoryDevice(left));
  const { snapshots } = damaged;
  await expect(planStrip(damaged, { snapshots: [snapshots[1]!] })).rejects.toMatchObject({
    code: 'VM_STATE_INVALID',
    message: 'the VM state of snapshot 2 "running" does not begin as QEMU begins one',
    details: { snapshotId: '2', snapshotName: 'running', hint: expect.any(String) as unknown },
  });
  const named = { whole: true, snapshots: [snapshots[1]!] };
  expect(await codeOf(planStrip(damaged, named))).toBe('done');
});

test.each([false, true])(
  'H12: a snapshot that does not tell where its disk ends is left alone, whole: %s',
  async (whole) => {
    const image = await openImage(memoryDevice(withTold(loadFixture('vm-state-v2'), 0, 0)));
    const [first, ...others] = image.snapshots;
    // Version 2 need not say it: then it is taken to be as large as the active disk.
    const older = { ...image, snapshots: [{ ...first!, extraData: new Uint8Array(0) }, ...others] };
    await expect(planStrip(older, { whole })).rejects.toMatchObject({
      code: 'VM_STATE_INVALID',
      message: expect.stringContaining('the entry of snapshot 1 "one"') as unknown,
      details: { snapshotId: '1', snapshotName: 'one' },
    });
    const named = { whole, snapshots: older.snapshots.slice(1) };
    expect(await codeOf(planStrip(older, named))).toBe('done');
  },
);
