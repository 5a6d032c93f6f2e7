/**
 * The same history for two copies of an image, one edited by qsnap and one by qemu-img. After every
 * step QEMU finds ours clean and sees the same list and the same disk in both.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { copyFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  findSnapshot,
  isQsnapError,
  planApply,
  planCreate,
  planDelete,
  planRename,
  type EditPlan,
  type OpenImage,
} from '../../src/index.js';
import {
  CLUSTER_BYTES,
  coveringOptions,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import {
  edit,
  expectSameDisk,
  expectSameSnapshots,
  expectSound,
  guest,
  guestCommands,
  listed,
  makeTwins,
  onImage,
  type Twins,
} from '../support/model-twin.js';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu } from '../support/qemu.js';
import type { BlockDevice } from '../../src/io/device.js';

const seed = seedOf();
const rounds = roundsOf(3);
const date = { seconds: 1_700_000_000, nanoseconds: 0 };

/** What has been done so far; the twin's names stay as they were, since qemu-img can't rename. */
interface History {
  readonly twins: Twins;
  readonly random: Random;
  diskBytes: number;
  /** In table order. */
  snapshots: { readonly id: string; name: string; twinName: string; readonly bytes: number }[];
  made: number;
  readonly steps: string[];
}

/** Our edits by outcome, over all rounds: a run that only refused would prove nothing. */
const tally = new Map<string, number>();

describeWithQemu('the same history under qsnap and under qemu-img', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  for (const [i, options] of coveringOptions(randomFrom(seed), rounds).entries()) {
    test(`${i}: ${nameOfOptions(options)}`, () => runHistory(options, seed + i));
  }
  afterAll(() => {
    const counts = [...tally].sort().map(([what, count]) => `${what}: ${count}`);
    console.log(counts.join(', '));
    if (rounds >= 10) {
      expect([...tally.keys()]).toEqual(
        expect.arrayContaining(['create done', 'apply done', 'delete done', 'rename done']),
      );
    }
  });
});

/** One image, 8 to 12 steps. */
async function runHistory(options: ImageOptions, own: number): Promise<void> {
  const random = randomFrom(own);
  const twins = await makeTwins(memoryDirectory(), options, random);
  const diskBytes = diskBytesOf(options);
  const history: History = { twins, random, diskBytes, snapshots: [], made: 0, steps: [] };
  try {
    await guest(twins, guestCommands(random, options, diskBytes));
    const count = 8 + random.below(5);
    for (let step = 0; step < count; step++) {
      await takeStep(history);
      await compareTwins(history);
      await compareSnapshots(history);
    }
  } catch (error) {
    console.log(`seed ${own}, steps:\n${history.steps.join('\n')}`);
    throw error;
  }
}

async function takeStep(history: History): Promise<void> {
  const { random, snapshots } = history;
  const some = snapshots.length > 0;
  const kind = random.pick([
    ...['guest', 'guest', 'guest', 'create', 'create', 'create'],
    ...(some ? ['apply', 'apply', 'apply', 'delete', 'rename', 'resize'] : ['create']),
    ...(snapshots.length > 1 ? ['delete many'] : []),
  ]);
  if (kind === 'guest') {
    const commands = guestCommands(random, history.twins.options, history.diskBytes);
    history.steps.push(`qemu-io ${commands.join('; ')}`);
    await guest(history.twins, commands);
  } else if (kind === 'create') await create(history);
  else if (kind === 'apply') await apply(history);
  else if (kind === 'rename') await rename(history);
  else if (kind === 'resize') await resize(history);
  else await deleteSome(history, kind === 'delete' ? 1 : 2 + random.below(snapshots.length - 1));
}

/**
 * Does an edit on our copy; what the engine refuses leaves no trace.
 *
 * @returns the code of the refusal, or undefined when the edit was done.
 */
async function ours(
  history: History,
  what: string,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<string | undefined> {
  let outcome: string | undefined;
  try {
    await edit(history.twins.ours, plan);
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'request') throw error;
    outcome = error.code;
  }
  const entry = `${what.split(' ')[0]} ${outcome ?? 'done'}`;
  tally.set(entry, (tally.get(entry) ?? 0) + 1);
  history.steps.push(`${what}: ${outcome ?? 'done'}`);
  return outcome;
}

/**
 * Does what we did, or refused, with qemu-img. A refusal is tried on a throw-away copy, since
 * qemu-img leaks a cluster when it fails. With narrow refcounts qemu-img refuses some applies that
 * have room (it counts up before it counts down); then the twin goes on from a copy of ours.
 */
async function theirs(
  history: History,
  refusal: string | undefined,
  commands: readonly (readonly string[])[],
): Promise<void> {
  const { twins } = history;
  const narrow = twins.options.refcountBits <= 4;
  const onTrial = refusal !== undefined || narrow;
  const file = onTrial ? path.join(twins.directory, 'trial.qcow2') : twins.theirs;
  if (onTrial) copyFileSync(twins.theirs, file);
  for (const command of commands) {
    const { code, stderr } = await onImage(twins, file, ['snapshot', ...command]);
    if (refusal !== undefined) {
      expect(code, `qsnap says ${refusal}, qemu-img snapshot ${command.join(' ')}`).toBe(1);
      return;
    }
    if (code === 0) continue;
    const mayRefuse = command[0] === '-a' && narrow;
    expect(mayRefuse, `qemu-img snapshot ${command.join(' ')}: ${stderr}`).toBe(true);
    tally.set('apply refused by qemu-img', (tally.get('apply refused by qemu-img') ?? 0) + 1);
    copyFileSync(twins.ours, file);
    for (const snapshot of history.snapshots) snapshot.twinName = snapshot.name;
  }
  if (onTrial) copyFileSync(file, twins.theirs);
}

async function create(history: History): Promise<void> {
  const name = `snap-${history.made++}`;
  const refusal = await ours(history, `create ${name}`, (image) => {
    return planCreate(image, { name, date, icount: 0n });
  });
  await theirs(history, refusal, [['-c', name]]);
  if (refusal !== undefined) {
    expect(refusal).toBe('REFCOUNT_OVERFLOW');
    return;
  }
  const highest = Math.max(0, ...history.snapshots.map(({ id }) => Number(id)));
  const bytes = history.diskBytes;
  history.snapshots.push({ id: String(highest + 1), name, twinName: name, bytes });
}

async function apply(history: History): Promise<void> {
  const { id, bytes } = history.random.pick(history.snapshots);
  const refusal = await ours(history, `apply ${id}`, (image) => {
    const snapshot = findSnapshot(image.snapshots, `id:${id}`);
    return planApply(image, snapshot, { discardChanges: true });
  });
  await theirs(history, refusal, [['-a', id]]);
  if (refusal === undefined) history.diskBytes = bytes;
  else expect(['BITMAPS_PRESENT', 'REFCOUNT_OVERFLOW']).toContain(refusal);
}

async function deleteSome(history: History, count: number): Promise<void> {
  const left = [...history.snapshots];
  const dropped = [];
  for (let i = 0; i < count; i++)
    dropped.push(...left.splice(history.random.below(left.length), 1));
  const ids = dropped.map(({ id }) => id);
  const refusal = await ours(history, `delete ${ids.join(' ')}`, (image) => {
    const selected = ids.map((id) => findSnapshot(image.snapshots, `id:${id}`));
    return planDelete(image, selected);
  });
  expect(refusal).toBeUndefined();
  await theirs(
    history,
    undefined,
    dropped.map(({ twinName }) => ['-d', twinName]),
  );
  history.snapshots = left;
}

async function rename(history: History): Promise<void> {
  const snapshot = history.random.pick(history.snapshots);
  const name = `new-${history.made++}`;
  const refusal = await ours(history, `rename ${snapshot.id} to ${name}`, (image) => {
    return planRename(image, findSnapshot(image.snapshots, `id:${snapshot.id}`), name);
  });
  expect(refusal).toBeUndefined();
  snapshot.name = name;
}

/** By QEMU on both: snapshots of other sizes than the active disk's. Version 2 can't. */
async function resize(history: History): Promise<void> {
  const { twins, random } = history;
  if (twins.options.compat === '0.10' || twins.options.bitmaps) return;
  const bytes = Math.ceil((diskBytesOf(twins.options) * random.pick([0.6, 1, 1.7])) / 512) * 512;
  history.steps.push(`resize ${bytes}`);
  const results = await Promise.all(
    [twins.ours, twins.theirs].map((file) => {
      return onImage(twins, file, ['resize', '-q', '--shrink'], [String(bytes)]);
    }),
  );
  expect(results[0]!.code, results[0]!.stderr).toBe(results[1]!.code);
  if (results[0]!.code === 0) history.diskBytes = bytes;
}

async function compareTwins({ twins, snapshots }: History): Promise<void> {
  const [ourList, theirList] = await Promise.all([
    listed(twins, twins.ours),
    listed(twins, twins.theirs),
    expectSound(twins, twins.ours),
    expectSameDisk(twins),
  ]);
  expect(ourList).toEqual(snapshots.map(({ id, name }) => `${id} ${name} 0 B`));
  expect(theirList).toEqual(snapshots.map(({ id, twinName }) => `${id} ${twinName} 0 B`));
  const limit = 3 * statSync(twins.theirs).size + 24 * CLUSTER_BYTES[twins.options.cluster];
  expect(statSync(twins.ours).size).toBeLessThan(limit);
}

async function compareSnapshots({ twins, snapshots }: History): Promise<void> {
  await expectSameSnapshots(
    twins,
    snapshots.map(({ id }) => id),
  );
}

describe('the sample of options', () => {
  test('shows most pairs of choices, the same for one seed', () => {
    const names = coveringOptions(randomFrom(seed), 20).map(nameOfOptions);
    expect(coveringOptions(randomFrom(seed), 20).map(nameOfOptions)).toEqual(names);
    expect(new Set(names).size).toBeGreaterThan(18);
    for (const word of [
      'v2',
      '512',
      '2M',
      '1-bit',
      '64-bit',
      'luks',
      'aes',
      'backing',
      'bitmaps',
    ]) {
      expect(names.filter((name) => name.split(' ').includes(word)).length).toBeGreaterThan(0);
    }
  });
});
