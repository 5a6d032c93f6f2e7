import { closeSync, existsSync, openSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError, QsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import type { BlockDevice } from '../../src/io/device.js';
import { memoryDevice, type MemoryDevice } from '../../src/io/memory.js';
import { openFileForEdit } from '../../src/node/index.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { editNamed, editsFor, shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { copyFixture, loadFixture } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { recordingDevice } from '../support/recording-device.js';
import { madeOn } from '../support/plans.js';

const FIXTURES = ['cluster-512', 'compressed-v2', 'extended-l2-16k', 'refcount-64', 'zeros-v2'];

const total = { faults: 0, fullDisks: 0, fixedMedia: 0, meddled: 0 };

/** Opens, plans and executes; the error with which it ended, if any, and whether it had a plan. */
async function attempt(
  device: BlockDevice,
  edit: Edit,
): Promise<{ readonly planned: boolean; readonly error: QsnapError | undefined }> {
  let planned = false;
  try {
    const plan = await edit.plan(await openImage(device));
    planned = true;
    await executePlan(madeOn(device, plan));
    return { planned, error: undefined };
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { planned, error };
  }
}

/** Holds an image after a failed edit to what the error says of it. */
function judge(before: Uint8Array, after: Uint8Array, edit: Edit, error: QsnapError): string[] {
  const { leaks } = checkPlain(before);
  const old = contentsOf(before);
  const state = error.details.imageState;
  if (state === undefined || state === 'unchanged') {
    return Buffer.compare(before, after) === 0 ? [] : ['the bytes changed'];
  }
  const now = edit.model(old);
  const sides = { old: [old], new: [now], 'old-or-new': [old, now], 'new-list': [] };
  const found = [...shortcomings(after, { contents: sides[state], leaks })];
  if (state === 'old' && after.length !== before.length) {
    found.push(`the file has ${after.length} bytes, and had ${before.length}`);
  }
  return found;
}

describe('an I/O error at the n-th call', () => {
  const cases = FIXTURES.flatMap((fixture) => {
    return editsFor(loadFixture(fixture)).map((edit) => ({ fixture, edit }));
  });

  test.each(cases)('$fixture, $edit.name', async ({ fixture, edit }) => {
    const before = loadFixture(fixture);
    const whole = recordingDevice(before);
    const image = await openImage(whole);
    const opening = whole.calls;
    await executePlan(await edit.plan(image));
    expect(whole.calls).toBeGreaterThan(opening + 4);
    const states = new Set<string>();
    for (let n = 1; n <= whole.calls; n++) {
      for (const partly of [undefined, 'partly'] as const) {
        const device = recordingDevice(before);
        device.failAt(n, partly);
        const { planned, error } = await attempt(device, edit);
        const what = `call ${n} of ${whole.calls}, ${partly ?? 'wholly'}`;
        expect(error, what).toBeDefined();
        expect(['READ_FAILED', 'WRITE_FAILED'], what).toContain(error!.code);
        if (planned) expect(error!.details.imageState, what).toBeDefined();
        else expect(error!.details.imageState, what).toBeUndefined();
        expect(judge(before, device.snapshotBytes(), edit, error!), what).toEqual([]);
        states.add(error!.details.imageState ?? 'not planned');
        total.faults += 1;
      }
    }
    expect([...states].sort()).toEqual(['new', 'not planned', 'old', 'old-or-new', 'unchanged']);
  });
});

describe('a medium without room', () => {
  const cases = FIXTURES.flatMap((fixture) => {
    return editsFor(loadFixture(fixture)).map((edit) => ({ fixture, edit }));
  });

  test.each(cases)('$fixture, $edit.name: a disk that gets full', async ({ fixture, edit }) => {
    const before = loadFixture(fixture);
    const roomy = memoryDevice(before);
    expect((await attempt(roomy, edit)).error).toBeUndefined();
    const growth = (await roomy.sizeBytes()) - before.length;
    const steps = Math.min(24, Math.ceil(growth / 512));
    for (let step = 0; step < steps; step++) {
      const capacityBytes = before.length + Math.floor((growth * step) / steps / 512) * 512;
      const device = memoryDevice(before, 'full', { capacityBytes });
      const { error } = await attempt(device, edit);
      expect(error?.code, `${capacityBytes} bytes`).toBe('NO_SPACE');
      expect(error!.details.bytesNeeded).toBeGreaterThan(0);
      expect(error!.details.imageState).toBe('old');
      expect(judge(before, device.snapshotBytes(), edit, error!)).toEqual([]);
      total.fullDisks += 1;
    }
  });

  test.each(cases)('$fixture, $edit.name: a medium of fixed size', async ({ fixture, edit }) => {
    const before = loadFixture(fixture);
    const { geometry } = await openImage(memoryDevice(before));
    const clusters = Math.ceil(before.length / geometry.clusterBytes);
    for (let more = 0; more < 64; more++) {
      const larger = new Uint8Array((clusters + more) * geometry.clusterBytes);
      larger.set(before);
      const device = memoryDevice(larger, 'fixed', { growable: false });
      const { error } = await attempt(device, edit);
      const after = device.snapshotBytes();
      expect(after.length).toBe(larger.length);
      if (error === undefined) {
        const contents = [edit.model(contentsOf(before))];
        const { leaks } = checkPlain(before);
        expect(shortcomings(after, { contents, leaks })).toEqual([]);
        return;
      }
      expect(error.code).toBe('NO_SPACE');
      expect(error.details.imageState).toBe('unchanged');
      expect(error.details.bytesNeeded).toBeGreaterThan(0);
      expect(judge(larger, after, edit, error)).toEqual([]);
      total.fixedMedia += 1;
    }
    expect.fail('there is no room with 64 free clusters');
  });
});

describe('E5: somebody else who writes while the edit is made', () => {
  /** A device on which another program does something when the flush of the shadow is under way. */
  function shared(
    before: Uint8Array,
    meddle: (memory: MemoryDevice) => Promise<void>,
  ): { device: BlockDevice; theirs: () => Uint8Array } {
    const memory = memoryDevice(before);
    let theirs: Uint8Array = new Uint8Array(0);
    const flush = async (): Promise<void> => {
      await memory.flush();
      await meddle(memory);
      theirs = memory.snapshotBytes();
    };
    const device: BlockDevice = {
      label: memory.label,
      growable: true,
      sizeBytes: () => memory.sizeBytes(),
      readBatch: (requests) => memory.readBatch(requests),
      writeBatch: (requests) => memory.writeBatch(requests),
      flush,
      truncate: (sizeBytes) => memory.truncate(sizeBytes),
      punchBatch: (ranges) => memory.punchBatch(ranges),
      close: () => memory.close(),
    };
    return { device, theirs: () => theirs };
  }

  const append = async (memory: MemoryDevice): Promise<void> => {
    const at = await memory.sizeBytes();
    await memory.writeBatch([{ at, bytes: new Uint8Array(4096).fill(0x77) }]);
  };
  const meddling: Record<string, (memory: MemoryDevice) => Promise<void>> = {
    'another header': (memory) =>
      memory.writeBatch([{ at: 64, bytes: new Uint8Array(8).fill(0xee) }]),
    'another header, and more behind the end': async (memory) => {
      await memory.writeBatch([{ at: 64, bytes: new Uint8Array(8).fill(0xee) }]);
      await append(memory);
    },
    'more behind the end': append,
    'a file cut off in the middle': (memory) => memory.truncate(20_000),
  };
  const cutOffNewTables = (memory: MemoryDevice): Promise<void> =>
    memory.truncate(loadFixture('cluster-512').length);

  test.each([
    ...Object.entries(meddling).slice(1),
    ['a file cut off where the new tables begin', cutOffNewTables] as const,
  ])('%s is noticed, and stays', async (_, meddle) => {
    const { device, theirs } = shared(loadFixture('cluster-512'), meddle);
    const { error } = await attempt(device, editNamed('create'));
    expect(error?.code).toBe('IMAGE_CHANGED');
    expect(error?.details.imageState).toBe('old');
    const after = new Uint8Array(theirs().length);
    expect(await device.sizeBytes()).toBe(after.length);
    await device.readBatch([{ at: 0, into: after }]);
    expect(Buffer.compare(after, theirs())).toBe(0);
    total.meddled += 1;
  });

  test.each(Object.entries(meddling))(
    '%s since the plan: nothing is written',
    async (_, meddle) => {
      const memory = memoryDevice(loadFixture('cluster-512'));
      const plan = await editNamed('create').plan(await openImage(memory));
      await meddle(memory);
      const theirs = memory.snapshotBytes();
      const error: unknown = await executePlan(madeOn(memory, plan)).catch((one: unknown) => one);
      expect(error).toMatchObject({
        code: 'IMAGE_CHANGED',
        details: { imageState: 'unchanged', hint: expect.stringContaining('start over') as string },
      });
      expect(Buffer.compare(memory.snapshotBytes(), theirs)).toBe(0);
      total.meddled += 1;
    },
  );
});

describe('a file that loses its name while the edit is made', () => {
  test.each([
    [
      'to another image',
      (file: string, other: string) => {
        renameSync(other, file);
      },
    ],
    ['to nobody', unlinkSync],
  ])('%s', async (_, meddle) => {
    const folder = temporaryDirectory();
    const file = copyFixture('five-snapshots', folder);
    const other = copyFixture('cluster-512', folder);
    const [opened, theirs] = [loadFixture('five-snapshots'), loadFixture('cluster-512')];
    const device = await openFileForEdit(file);
    const kept = openSync(file, 'r');
    try {
      const plan = await editNamed('create').plan(await openImage(device));
      const flush = device.flush.bind(device);
      let flushes = 0;
      device.flush = async () => {
        await flush();
        flushes += 1;
        if (flushes === 2) meddle(file, other);
      };
      const error: unknown = await executePlan(madeOn(device, plan)).catch((one: unknown) => one);
      expect(error).toMatchObject({ code: 'IMAGE_CHANGED', details: { imageState: 'old' } });
      await expect(executePlan(madeOn(device, plan))).rejects.toMatchObject({
        code: 'IMAGE_CHANGED',
        details: { imageState: 'unchanged' },
      });
      expect(Buffer.compare(readFileSync(kept), opened)).toBe(0);
      if (existsSync(file)) expect(Buffer.compare(readFileSync(file), theirs)).toBe(0);
      total.meddled += 1;
    } finally {
      closeSync(kept);
      await device.close();
    }
  });
});

afterAll(() => {
  console.log(
    `${total.faults} calls that failed, ${total.fullDisks} full disks, ${total.fixedMedia} media ` +
      `without room, ${total.meddled} files changed or moved under an edit; 0 fell short`,
  );
});
