import { describe, expect, test } from 'vitest';
import { QsnapError, isQsnapError } from '../../../../src/errors.js';
import type { BlockDevice } from '../../../../src/io/device.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import type { WritePlan } from '../../../../src/edit/tx/plan.js';
import { madeOn } from '../../../support/plans.js';
import { painted } from '../../../support/table-content.js';

const MiB = 1024 * 1024;

/** A file of 8 KiB whose byte i is i % 251, and a plan over it. */
function made(): { device: MemoryDevice; bytes: Uint8Array; plan: WritePlan } {
  const bytes = Uint8Array.from({ length: 8192 }, (_, i) => i % 251);
  const plan: WritePlan = {
    headerSector: bytes.slice(0, 512),
    fileSizeBytes: bytes.length,
    shadow: [
      { kind: 'literal', what: 'active L1', at: 8192, bytes: new Uint8Array(512).fill(1) },
      {
        kind: 'tables',
        what: 'L2 tables',
        tableBytes: 512,
        targets: Float64Array.of(1024, 9216),
        sources: Float64Array.of(4096, 4608),
        content: painted(2, (words, i) => {
          words[0] = (words[0]! & 0xff_ffff) | ((200 + i) << 24);
        }),
      },
    ],
    switch: { at: 24, bytes: new Uint8Array(48).fill(7) },
    freed: [],
    punch: [{ at: 2048, length: 1024 }],
  };
  return { device: memoryDevice(bytes), bytes, plan };
}

/** A device that writes its calls down, and fails where it is told to. Its second write at 24 is the switch. */
function spied(device: BlockDevice, failAt = ''): { device: BlockDevice; calls: string[] } {
  const calls: string[] = [];
  const count = (start: string): number => calls.filter((name) => name.startsWith(start)).length;
  const nameOf = (at: readonly number[]): string =>
    at.join() === '24' && count('write 24') > 0 ? 'switch' : `write ${at.join()}`;
  const call = <T>(name: string, action: () => Promise<T>): Promise<T> => {
    calls.push(name);
    if (name !== failAt) return action();
    return Promise.reject(new QsnapError('WRITE_FAILED', `planted at ${name}`));
  };
  return {
    calls,
    device: {
      label: device.label,
      growable: device.growable,
      sizeBytes: () => device.sizeBytes(),
      readBatch: (requests) =>
        call(`read ${requests.map(({ at }) => at).join()}`, () => device.readBatch(requests)),
      writeBatch: (requests) =>
        call(nameOf(requests.map(({ at }) => at)), () => device.writeBatch(requests)),
      flush: () => call(`flush ${count('flush')}`, () => device.flush()),
      truncate: (size) => call(`truncate ${size}`, () => device.truncate(size)),
      punchBatch: (ranges) =>
        call(`punch ${ranges.map(({ at }) => at).join()}`, () => device.punchBatch(ranges)),
      close: () => device.close(),
    },
  };
}

describe('a plan that is carried out', () => {
  test('R3, R4, R5, S11: what is found made durable, shadow, flush, switch, flush, tidy, in this order', async () => {
    const { device, plan } = made();
    const spy = spied(device);
    await executePlan(madeOn(spy.device, plan));
    expect(spy.calls).toEqual([
      ...['read 0', 'write 24', 'flush 0'],
      ...['write 8192', 'read 4096', 'write 1024,9216', 'flush 1'],
      ...['read 0', 'switch', 'flush 2', 'punch 2048'],
    ]);
  });

  test('gives exactly these bytes, and says what it did', async () => {
    const { device, bytes, plan } = made();
    const progress: [number, number][] = [];
    const report = await executePlan(madeOn(device, plan), {
      onProgress: (...step) => progress.push(step),
    });
    const expected = new Uint8Array(9728);
    expected.set(bytes);
    expected.set(new Uint8Array(48).fill(7), 24);
    expected.set([200, ...bytes.subarray(4097, 4608)], 1024);
    expected.fill(0, 2048, 3072);
    expected.fill(1, 8192, 8704);
    expected.set([201, ...bytes.subarray(4609, 5120)], 9216);
    expect(device.snapshotBytes()).toEqual(expected);
    expect(report).toEqual({ punchedBytes: 1024, fileSizeBytes: 9728 });
    expect(progress).toEqual([
      [512, 1536],
      [1536, 1536],
    ]);
  });

  test('many tables are made in batches, from nothing where there is no source', async () => {
    const count = (5 * MiB) / 65_536;
    const targets = Float64Array.from({ length: count }, (_, i) => (i + 1) * 65_536);
    const { plan } = made();
    const spy = spied(memoryDevice(plan.headerSector));
    const filled: number[] = [];
    const tables: WritePlan = {
      ...plan,
      fileSizeBytes: plan.headerSector.length,
      freed: [],
      punch: [],
      shadow: [
        {
          kind: 'tables',
          what: 'refcount blocks',
          tableBytes: 65_536,
          targets,
          sources: undefined,
          content: painted(count, (words, i) => {
            expect(words.every((word) => word === 0)).toBe(true);
            words.fill(i + 1);
            filled.push(i);
          }),
        },
      ],
    };
    await executePlan(madeOn(spy.device, tables));
    expect(filled).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(spy.calls.filter((name) => /^write (?!24$)/.test(name))).toHaveLength(2);
  });
});

describe('a plan that fails', () => {
  test.each([
    ['read 0', 'unchanged'],
    ['write 24', 'unchanged'],
    ['flush 0', 'unchanged'],
    ['write 8192', 'old'],
    ['read 4096', 'old'],
    ['write 1024,9216', 'old'],
    ['flush 1', 'old'],
    ['switch', 'old-or-new'],
    ['flush 2', 'old-or-new'],
    ['punch 2048', 'new'],
  ])('at "%s" leaves the image %s, and the error says so', async (failAt, imageState) => {
    const { device, bytes, plan } = made();
    const spy = spied(device, failAt);
    const error: unknown = await executePlan(madeOn(spy.device, plan)).catch(
      (thrown: unknown) => thrown,
    );
    if (!isQsnapError(error)) expect.unreachable('a QsnapError');
    expect(error.message).toBe(`planted at ${failAt}`);
    expect(error.details.imageState).toBe(imageState);
    const now = device.snapshotBytes();
    if (imageState === 'unchanged') expect(now).toEqual(bytes);
    if (imageState === 'old') {
      expect(now.subarray(0, 512)).toEqual(bytes.subarray(0, 512));
      expect(now).toHaveLength(bytes.length);
    }
  });

  test('E5: is refused when the header has changed since it was made', async () => {
    const { device, plan } = made();
    await device.writeBatch([{ at: 60, bytes: Uint8Array.of(99) }]);
    const before = device.snapshotBytes();
    await expect(executePlan(madeOn(device, plan))).rejects.toMatchObject({
      code: 'IMAGE_CHANGED',
      details: { imageState: 'unchanged' },
    });
    expect(device.snapshotBytes()).toEqual(before);
  });

  test('E5: is refused when the header changes while the shadow is written', async () => {
    const { device, plan } = made();
    const { bytes } = made();
    const { device: spy, calls } = spied(device);
    const meddling: BlockDevice = {
      ...spy,
      flush: async () => {
        await spy.flush();
        if (!calls.includes('flush 1')) return;
        await device.writeBatch([{ at: 60, bytes: Uint8Array.of(99) }]);
      },
    };
    await expect(executePlan(madeOn(meddling, plan))).rejects.toMatchObject({
      code: 'IMAGE_CHANGED',
      details: { imageState: 'old' },
    });
    const now = device.snapshotBytes();
    expect(now[60]).toBe(99);
    expect(now.subarray(61, 512)).toEqual(bytes.subarray(61, 512));
  });

  test('an error that is none of ours goes through as it is', async () => {
    const { device, plan } = made();
    const ours = new TypeError('not a QsnapError');
    const broken = { ...spied(device).device, writeBatch: () => Promise.reject(ours) };
    await expect(executePlan(madeOn(broken, plan))).rejects.toBe(ours);
  });

  test('a medium that is full keeps the old state and its length', async () => {
    const { bytes, plan } = made();
    const device = memoryDevice(bytes, 'full', { capacityBytes: 8192 });
    await expect(executePlan(madeOn(device, plan))).rejects.toMatchObject({
      code: 'NO_SPACE',
      details: { imageState: 'old', bytesNeeded: 512 },
    });
    expect(device.snapshotBytes()).toEqual(bytes);
  });
});

describe('a signal', () => {
  const stopped = { code: 'ABORTED', details: { imageState: 'old' } };

  test('before anything is written leaves the image unchanged', async () => {
    const { device, plan, bytes } = made();
    const aborted = executePlan(madeOn(device, plan), { signal: AbortSignal.abort('SIGINT') });
    await expect(aborted).rejects.toMatchObject({
      code: 'ABORTED',
      details: { imageState: 'unchanged' },
      cause: 'SIGINT',
    });
    expect(device.snapshotBytes()).toEqual(bytes);
  });

  test('in stage 1 ends the edit in the old state, with the file as long as it was', async () => {
    const { plan, bytes } = made();
    const whole = spied(memoryDevice(bytes));
    await executePlan(madeOn(whole.device, plan));
    const beforeSwitch = whole.calls.slice(0, whole.calls.indexOf('switch'));
    for (const last of beforeSwitch.keys()) {
      const controller = new AbortController();
      const device = memoryDevice(bytes);
      const { calls, device: spy } = spied(device);
      const aborting = withHook(spy, () => {
        if (calls.length > last) controller.abort('SIGTERM');
      });
      const plannedOn = madeOn(aborting, plan);
      const ended = await executePlan(plannedOn, { signal: controller.signal }).catch(
        (error: unknown) => error,
      );
      expect(ended).toMatchObject(stopped);
      expect(await device.sizeBytes()).toBe(bytes.length);
      expect(device.snapshotBytes().subarray(0, 512)).toEqual(bytes.subarray(0, 512));
    }
  });

  test('from the switch on the edit is finished first', async () => {
    const { plan, bytes } = made();
    const whole = memoryDevice(bytes);
    await executePlan(madeOn(whole, plan));
    const controller = new AbortController();
    const device = memoryDevice(bytes);
    const { calls, device: spy } = spied(device);
    const aborting = withHook(spy, () => {
      if (calls.includes('switch')) controller.abort('SIGINT');
    });
    await executePlan(madeOn(aborting, plan), { signal: controller.signal });
    expect(controller.signal.aborted).toBe(true);
    expect(device.snapshotBytes()).toEqual(whole.snapshotBytes());
  });
});

/** The device, with something to do after each of its calls. */
function withHook(device: BlockDevice, after: () => void): BlockDevice {
  const hooked = async <T>(call: Promise<T>): Promise<T> => {
    const result = await call;
    after();
    return result;
  };
  return {
    label: device.label,
    growable: device.growable,
    sizeBytes: () => device.sizeBytes(),
    readBatch: (requests) => hooked(device.readBatch(requests)),
    writeBatch: (requests) => hooked(device.writeBatch(requests)),
    flush: () => hooked(device.flush()),
    truncate: (sizeBytes) => hooked(device.truncate(sizeBytes)),
    punchBatch: (ranges) => hooked(device.punchBatch(ranges)),
    close: () => device.close(),
  };
}
