import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { executeScrub } from '../../src/edit/scrub/execute-scrub.js';
import { planScrub, type ScrubPlan } from '../../src/edit/scrub/plan-scrub.js';
import { planDelete } from '../../src/edit/snapshot/delete.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { BlockDevice } from '../../src/io/device.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { editNamed, editsFor, shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { judgeByQemu, type SampledState } from '../support/crash-judge-qemu.js';
import { loadFixture } from '../support/fixture.js';
import { layoutOf, snapshotsOf } from '../support/image-builder-layout.js';
import { seededRandom } from '../support/mutate.js';
import { describeWithQemu } from '../support/qemu.js';
import { crashStates, recordingDevice, type Recorded } from '../support/recording-device.js';
import { scrubbedPlainly, unreferencedIn, withSecrets } from '../support/unreferenced.js';
import { oneIn } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4714);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 10);
const QEMU_STATES = Number(process.env['QSNAP_CRASH_QEMU'] ?? 20);

const FIXTURES = [
  ...['cluster-512', 'refcount-2', 'refcount-8', 'refcount-64', 'refcount-many-blocks'],
  ...['extended-l2-16k', 'everything', 'compressed-v2', 'compressed-spanning', 'zeros', 'zeros-v2'],
  ...['backing-chain', 'resized-smaller', 'l1-larger-than-needed', 'vm-state-5gib', 'aes', 'luks'],
  ...['vm-state-extended-l2', 'preallocated-metadata', 'bitmaps-in-use', 'refcount-leaks'],
];

const random = seededRandom(SEED);
const forQemu: SampledState[] = [];
const total = { scrubs: 0, states: 0, scrubbedFurther: 0, short: 0, faults: 0, afterKill: 0 };

/** The fixture without its first snapshot, and with a secret wherever nothing refers to. */
async function plantedIn(fixture: string): Promise<Uint8Array> {
  const device = memoryDevice(loadFixture(fixture));
  const image = await openImage(device);
  await executePlan(await planDelete(image, image.snapshots.slice(0, 1)));
  return withSecrets(device.snapshotBytes());
}

interface Cut {
  readonly punch: boolean;
  readonly alterPlan?: (plan: ScrubPlan<BlockDevice>, before: Uint8Array) => Partial<ScrubPlan>;
}

/** Judges every state of a scrub that was cut off. @returns what falls short, and the states that do not. */
async function cut(
  before: Uint8Array,
  { punch, alterPlan }: Cut,
): Promise<{ readonly short: readonly string[]; readonly right: readonly Uint8Array[] }> {
  const device = recordingDevice(before);
  const plan = await planScrub(await openImage(device));
  await executeScrub({ ...plan, ...alterPlan?.(plan, before), source: device }, { punch });
  const { leaks } = checkPlain(before);
  const contents = [contentsOf(before)];
  const isFree = new Uint8Array(before.length);
  for (const { at, length } of unreferencedIn(before)) isFree.fill(1, at, at + length);
  const short: string[] = [];
  const right: Uint8Array[] = [];
  const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
  for (const { bytes, description } of crashStates(device.log, before, options)) {
    const found = shortcomings(bytes, { contents, leaks });
    const other = bytes.findIndex(
      (byte, at) => byte !== before[at] && !(byte === 0 && isFree[at] === 1),
    );
    const all = [...found, ...(other === -1 ? [] : [`the byte at ${other} is another one`])];
    if (all.length > 0) short.push(`${description}: ${all.join('; ')}`);
    else right.push(bytes);
  }
  return { short, right };
}

describe('a power cut while bytes are scrubbed leaves the image as it was, scrubbed further or not', () => {
  test.each(oneIn(2, FIXTURES, 1))('%s', async (fixture) => {
    const before = await plantedIn(fixture);
    for (const punch of oneIn(2, [false, true], FIXTURES.indexOf(fixture))) {
      const { short, right } = await cut(before, { punch });
      total.scrubs += 1;
      total.states += short.length + right.length;
      total.short += short.length;
      total.scrubbedFurther += right.filter((bytes) => Buffer.compare(bytes, before) !== 0).length;
      expect(short.slice(0, 5), `seed ${SEED}, ${fixture}`).toEqual([]);
      const chosen = right[random(right.length)]!;
      if (fixture !== 'aes' && fixture !== 'luks') {
        forQemu.push({ fixture, edit: 'scrub', bytes: chosen });
      }
      const device = memoryDevice(chosen);
      await executeScrub(await planScrub(await openImage(device)), { punch });
      const again = device.snapshotBytes();
      expect(Buffer.compare(again, scrubbedPlainly(before)), 'another scrub ends it').toBe(0);
    }
  });

  describeWithQemu('and QEMU agrees', () => {
    test('a sample is sound, and a guest writes on', async () => {
      const { states } = await judgeByQemu(forQemu, QEMU_STATES, random);
      expect(states).toBeGreaterThan(0);
    });
  });
});

/** What an edit sent up to its switch, when it was killed before it flushed that; and what the system shows then. */
async function killedAfterSwitch(bytes: Uint8Array, edit: Edit) {
  const device = recordingDevice(bytes);
  await executePlan(await edit.plan(await openImage(device)));
  const isSwitch = (entry: Recorded): boolean => entry.kind === 'write' && entry.at === 24;
  const sent = device.log.slice(0, device.log.findLastIndex(isSwitch) + 1);
  const shown = memoryDevice(bytes);
  for (const entry of sent) if (entry.kind === 'write') await shown.writeBatch([entry]);
  return { sent, shown: shown.snapshotBytes() };
}

/** A scrub after an edit that was killed, and a power cut: the states that fall short. */
async function cutAfterKill(
  fixture: string,
  name: string,
  alter: (sent: readonly Recorded[], log: readonly Recorded[]) => readonly Recorded[],
): Promise<readonly string[]> {
  const bytes = loadFixture(fixture);
  const edit = editNamed(name);
  const { sent, shown } = await killedAfterSwitch(bytes, edit);
  const device = recordingDevice(shown);
  await executeScrub(await planScrub(await openImage(device)));
  const log = device.log.filter(({ kind }) => kind !== 'read');
  const old = contentsOf(bytes);
  const allowed = { contents: [old, edit.model(old)], leaks: checkPlain(bytes).leaks };
  const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
  const short: string[] = [];
  for (const state of crashStates(alter(sent, log), bytes, options)) {
    total.afterKill += 1;
    const found = shortcomings(state.bytes, allowed);
    if (found.length > 0) short.push(`${state.description}: ${found.join('; ')}`);
  }
  return short;
}

describe('a scrub after an edit that was killed before the flush of its switch, and a power cut', () => {
  const fixtures = ['cluster-512', 'zeros-v2', 'names-odd', 'dates-extreme', 'refcount-64', 'aes'];
  const edits = ['delete the first', 'apply the first', 'delete all but the first'];
  const cases = fixtures.flatMap((fixture) => {
    const names = editsFor(loadFixture(fixture)).map(({ name }) => name);
    return names.filter((name) => edits.includes(name)).map((name) => [fixture, name] as const);
  });
  test.each(cases)('%s: %s, killed', async (fixture, name) => {
    const short = await cutAfterKill(fixture, name, (sent, log) => [...sent, ...log]);
    expect(short.slice(0, 3), `seed ${SEED}`).toEqual([]);
    const lost = await cutAfterKill(fixture, name, (sent, log) => [...sent.slice(0, -1), ...log]);
    expect(lost.slice(0, 3), `seed ${SEED}, its flush failed and lost it`).toEqual([]);
  });

  test('one that does not make durable what it finds is seen', async () => {
    const [fixture, name] = ['dates-extreme', 'delete all but the first'];
    const unflushed = await cutAfterKill(fixture, name, (sent, [, , ...log]) => [...sent, ...log]);
    expect(unflushed.length).toBeGreaterThan(0);
    const unwritten = await cutAfterKill(fixture, name, (sent, [, ...log]) => [
      ...sent.slice(0, -1),
      ...log,
    ]);
    expect(unwritten.length).toBeGreaterThan(0);
  });
});

describe('calls that fail', () => {
  test.each(['compressed-spanning', 'zeros', 'vm-state-extended-l2'])('%s', async (fixture) => {
    const before = await plantedIn(fixture);
    const { leaks } = checkPlain(before);
    const contents = [contentsOf(before)];
    for (let call = 1; ; call++) {
      const device = recordingDevice(before);
      device.failAt(call, call % 2 === 0 ? 'partly' : undefined);
      const error: unknown = await openImage(device)
        .then((image) => planScrub(image))
        .then((plan) => executeScrub(plan, { punch: call % 3 === 0 }))
        .then(
          () => undefined,
          (reason: unknown) => reason,
        );
      expect(shortcomings(device.snapshotBytes(), { contents, leaks }), `call ${call}`).toEqual([]);
      if (error === undefined) break;
      expect(error).toSatisfy(isQsnapError);
      expect(['unchanged', 'old', undefined]).toContain(
        (error as { details: { imageState?: string } }).details.imageState,
      );
      total.faults += 1;
    }
  });
});

describe('plans that are wrong in one thing are seen', () => {
  const mutants: Readonly<Record<string, NonNullable<Cut['alterPlan']>>> = {
    'the last extension counts as slack': ({ slack: [header, ...others] }) => ({
      slack: [{ at: header!.at - 16, length: header!.length + 16 }, ...others],
    }),
    'the last name in the snapshot table counts as slack': ({ slack }, before) => {
      const end = layoutOf(before).snapshotTableAt + snapshotsOf(before).tableBytes;
      const padded = Math.ceil(end / 8) * 8;
      const mark = (at: number): number => (at === padded ? end - 2 : at);
      return {
        slack: slack.map(({ at, length }) => ({ at: mark(at), length: length + at - mark(at) })),
      };
    },
    'the last entry of an L1 table counts as slack': ({ slack }, before) => {
      const { l1At, l1Entries } = layoutOf(before);
      const end = l1At + l1Entries * 8;
      return {
        slack: slack.map(({ at, length }) =>
          at === end ? { at: at - 8 * l1Entries, length: length + 8 * l1Entries } : { at, length },
        ),
      };
    },
    'a cluster in use counts as free': ({ free }, before) => {
      const { at, length } = free.at(-1)!;
      const longer = { at, length: length + layoutOf(before).clusterBytes };
      return { free: [...free.slice(0, -1), longer], slack: [] };
    },
    'the tail begins with the last cluster': ({ tail: [tail] }, before) => {
      const { clusterBytes } = layoutOf(before);
      const { at, length } = tail!;
      return { tail: [{ at: at - clusterBytes, length: length + clusterBytes }], slack: [] };
    },
  };
  test.each(Object.entries(mutants))('%s', async (_, alterPlan) => {
    const { short } = await cut(await plantedIn('everything'), { punch: false, alterPlan });
    expect(short.length).toBeGreaterThan(0);
  });
});

afterAll(() => {
  console.log(`seed ${SEED}: ${JSON.stringify(total)}`);
});
