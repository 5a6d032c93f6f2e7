/** Media that do not do as they are told, plans that are not right, and a scrub that is stopped. */
import { expect, test } from 'vitest';
import { executeScrub } from '../../../../src/edit/scrub/execute-scrub.js';
import { measureScrub } from '../../../../src/edit/scrub/look-through.js';
import { planScrub, type ScrubPlan } from '../../../../src/edit/scrub/plan-scrub.js';
import { scrubImage } from '../../../../src/edit/scrub/scrub-image.js';
import { openImage } from '../../../../src/image/open.js';
import type { BlockDevice } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { checkPlain, contentsOf } from '../../../support/crash-judge.js';
import { loadFixture } from '../../../support/fixture.js';
import { recordingDevice } from '../../../support/recording-device.js';
import { scrubbedPlainly, withSecrets } from '../../../support/unreferenced.js';

const planted = withSecrets(loadFixture('cluster-4k'));
const scrubbed = scrubbedPlainly(planted);

function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(bytes, expected)).toBe(0);
  expect(checkPlain(bytes).corruptions).toEqual([]);
  expect(contentsOf(bytes)).toEqual(contentsOf(planted));
}

test('where the host takes nothing back, or blocks alone, the rest gets zeros', async () => {
  for (const takes of ['nothing', 'one byte']) {
    const inner = memoryDevice(planted);
    const device: BlockDevice = Object.assign(inner, {
      punchBatch: (ranges: Parameters<BlockDevice['punchBatch']>[0]) =>
        takes === 'nothing'
          ? Promise.resolve(0)
          : inner
              .writeBatch(ranges.map(({ at }) => ({ at, bytes: new Uint8Array(1) })))
              .then(() => ranges.length),
    });
    const { punchedBytes } = await scrubImage(device, { punch: true });
    expect(punchedBytes > 0).toBe(takes !== 'nothing');
    expectSame(inner.snapshotBytes(), scrubbed);
  }
});

test('zeros that do not come back are noticed, and where', async () => {
  const inner = memoryDevice(planted);
  let lost: number | undefined;
  const writeBatch = inner.writeBatch.bind(inner);
  const device = Object.assign(inner, {
    writeBatch: (requests: Parameters<BlockDevice['writeBatch']>[0]) => {
      lost ??= requests.find(({ at }) => at > 24)?.at;
      return writeBatch(requests.filter(({ at }) => at !== lost));
    },
  });
  const error: unknown = await scrubImage(device).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: 'VERIFY_FAILED',
    details: { structure: 'slack', at: lost, imageState: 'old' },
  });
  expect(contentsOf(inner.snapshotBytes())).toEqual(contentsOf(planted));
});

test('a scrub that is stopped says that another one goes on, and that one does', async () => {
  const device = memoryDevice(planted);
  const controller = new AbortController();
  const scrub = scrubImage(device, {
    signal: controller.signal,
    onProgress: () => {
      controller.abort();
    },
  });
  await expect(scrub).rejects.toMatchObject({
    code: 'ABORTED',
    details: { imageState: 'old', hint: expect.stringContaining('goes on') as string },
  });
  expect(contentsOf(device.snapshotBytes())).toEqual(contentsOf(planted));
  await scrubImage(device);
  expectSame(device.snapshotBytes(), scrubbed);
});

test('measuring stops as well', async () => {
  const plan = await planScrub(await openImage(memoryDevice(planted)));
  const measuring = measureScrub(plan, { signal: AbortSignal.abort() });
  await expect(measuring).rejects.toMatchObject({ code: 'ABORTED' });
});

test('progress goes from nothing to all, twice', async () => {
  const device = memoryDevice(planted);
  const told: [string, number, number][] = [];
  await scrubImage(device, { onProgress: (...now) => told.push(now) });
  for (const phase of ['scrubbing', 'reading back']) {
    const steps = told.filter(([of]) => of === phase);
    const done = steps.map(([, bytes]) => bytes);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).toBe(steps.at(-1)![2]);
  }
  expectSame(device.snapshotBytes(), scrubbed);
});

test('a plan is carried out once, and not after another edit or on another file', async () => {
  const device = memoryDevice(planted);
  const [first, second] = [
    await planScrub(await openImage(device)),
    await planScrub(await openImage(device)),
  ];
  await executeScrub(first);
  await expect(executeScrub(first)).rejects.toMatchObject({ code: 'PLAN_STALE' });
  await expect(executeScrub(second)).rejects.toMatchObject({ code: 'PLAN_STALE' });
  expectSame(device.snapshotBytes(), scrubbed);
  const longer = memoryDevice(planted);
  const plan = await planScrub(await openImage(longer));
  await longer.truncate(planted.length + 1);
  await expect(executeScrub(plan)).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
});

const WRONG: Readonly<Record<string, Partial<Pick<ScrubPlan, 'slack' | 'tail'>>>> = {
  'the header': { slack: [{ at: 64, length: 8 }] },
  'a byte twice': {
    tail: [{ at: planted.length - 100, length: 100 }],
    slack: [{ at: planted.length - 50, length: 10 }],
  },
  'bytes behind the end': { tail: [{ at: planted.length - 100, length: 101 }] },
};
test.each(Object.entries(WRONG))(
  'a plan that names %s is refused before it writes',
  async (_, wrong) => {
    const device = recordingDevice(planted);
    const plan = { ...(await planScrub(await openImage(device))), ...wrong };
    await expect(executeScrub(plan)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(device.log.filter(({ kind }) => kind !== 'read')).toEqual([]);
  },
);
