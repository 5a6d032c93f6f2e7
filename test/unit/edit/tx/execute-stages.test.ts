import { expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { executeStages } from '../../../../src/edit/tx/execute-stages.js';
import type { ShadowWrite } from '../../../../src/edit/tx/plan.js';
import { assertSafeStages } from '../../../../src/edit/tx/rules.js';
import { previewStages, type StagedPlan } from '../../../../src/edit/tx/staged-plan.js';
import { recordingDevice, sinceDurable } from '../../../support/recording-device.js';
import { madeOn } from '../../../support/plans.js';

const BYTES = new Uint8Array(8192).fill(7);

const literal = (what: string, at: number, length: number, fill: number): ShadowWrite => {
  return { kind: 'literal', what, at, bytes: new Uint8Array(length).fill(fill) };
};
const stage = (what: string, ...writes: ShadowWrite[]) => ({ what, writes });

const PLAN: StagedPlan = {
  headerSector: BYTES.slice(0, 512),
  fileSizeBytes: BYTES.length,
  stages: [
    stage('prepare', literal('table', 2048, 512, 1), literal('block', 1024, 512, 2)),
    stage('list', literal('header', 24, 72, 3)),
    stage('shadow', literal('block', 1024, 512, 4), literal('L1', 8192, 512, 5)),
    stage('switch', literal('header', 24, 72, 6)),
  ],
  unlists: 1,
  mayLackFlags: false,
  punch: [{ at: 4096, length: 512 }],
};

test('each stage is flushed before the next one begins, and holes come last', async () => {
  const device = recordingDevice(BYTES);
  const steps: [number, number][] = [];
  const report = await executeStages(madeOn(device, PLAN), {
    onProgress: (done, all) => steps.push([done, all]),
  });
  const kinds = device.log.filter(({ kind }) => kind !== 'read');
  expect(kinds.map((one) => ('at' in one ? `${one.kind} ${one.at}` : one.kind))).toEqual([
    ...['write 24', 'flush', 'write 2048', 'write 1024', 'flush', 'write 24', 'flush'],
    ...['write 1024', 'write 8192', 'flush', 'write 24', 'flush', 'punch 4096'],
  ]);
  expect(report).toEqual({ punchedBytes: 512, fileSizeBytes: 8704 });
  expect(steps.at(-1)).toEqual([2192, 2192]);
});

test('a preview is what the stages make, and is checked before anything of it is written', async () => {
  const device = recordingDevice(BYTES);
  const preview = previewStages(device, PLAN);
  const foretold = new Uint8Array(await preview.sizeBytes());
  await preview.readBatch([{ at: 0, into: foretold }]);
  const refusing = executeStages(madeOn(device, PLAN), {
    verify: () => Promise.reject(new Error('no')),
  });
  await expect(refusing).rejects.toThrow('no');
  expect(sinceDurable(device.log, BYTES)).toEqual([]);
  await executeStages(madeOn(device, { ...PLAN, punch: [] }), { verify: () => Promise.resolve() });
  expect(Buffer.compare(device.snapshotBytes(), foretold)).toBe(0);
});

test('somebody else who changes the header ends it before the list is sent', async () => {
  const device = recordingDevice(BYTES);
  const flush = device.flush.bind(device);
  device.flush = async () => {
    await flush();
    await device.writeBatch([{ at: 64, bytes: new Uint8Array(8) }]);
  };
  await expect(executeStages(madeOn(device, PLAN))).rejects.toMatchObject({
    code: 'IMAGE_CHANGED',
    details: { imageState: 'old' },
  });
  expect(device.snapshotBytes()[24]).toBe(7);
});

test.each<[string, Partial<StagedPlan>]>([
  ['no write to the header', { stages: [PLAN.stages[0]!], unlists: 0 }],
  ['the list is not the first one', { unlists: 3 }],
  [
    'a header write with company',
    { stages: [stage('list', ...PLAN.stages.flatMap((s) => s.writes))], unlists: 0 },
  ],
  [
    'a header write that is too long',
    { stages: [stage('list', literal('header', 24, 80, 0))], unlists: 0 },
  ],
  ['a stage that writes what is given back', { punch: [{ at: 1024, length: 512 }] }],
])('the rules refuse %s', (_, change) => {
  expect(() => {
    assertSafeStages(PLAN);
  }).not.toThrow();
  try {
    assertSafeStages({ ...PLAN, ...change });
    expect.fail('it is refused');
  } catch (error) {
    expect(isQsnapError(error) && error.code).toBe('INTERNAL');
  }
});

test('a signal ends it as long as the new list is not sent, and not from then on', async () => {
  const whole = recordingDevice(BYTES);
  await executeStages(madeOn(whole, PLAN));
  for (const [flushes, ends] of [
    [2, true],
    [3, false],
    [4, false],
  ] as const) {
    const device = recordingDevice(BYTES);
    const flush = device.flush.bind(device);
    const controller = new AbortController();
    let done = 0;
    device.flush = async () => {
      await flush();
      if (++done === flushes) controller.abort('SIGINT');
    };
    const edit = executeStages(madeOn(device, PLAN), { signal: controller.signal });
    if (ends) {
      // The list that was not sent has a place that counts as used: "old" alone told that nothing was left.
      const details = { imageState: 'old', hintCode: 'leaks-left' };
      await expect(edit).rejects.toMatchObject({ code: 'ABORTED', cause: 'SIGINT', details });
      const header = device.snapshotBytes().subarray(0, 512);
      expect(Buffer.compare(header, PLAN.headerSector)).toBe(0);
    } else {
      await edit;
      expect(Buffer.compare(device.snapshotBytes(), whole.snapshotBytes())).toBe(0);
    }
  }
});
