/**
 * The real programs, killed in every edit: before each system call on their files, one after
 * another, and at random moments. `QSNAP_THOROUGH=1` takes every call of every edit on several
 * images, as many as `QSNAP_ROUNDS` says, and hundreds of moments; a plain run takes a slice.
 */
import { afterAll, expect, test } from 'vitest';
import { readPlain } from '../support/crash-judge-image.js';
import { loadFixture } from '../support/fixture.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import { DOUBTED, FULL_COUNTS, OUTSIDE_EDITS, type OutsideEdit } from '../support/outside-edits.js';
import { killCase, killsAtCalls, type Kill, type KillCase } from '../support/outside-kills.js';
import { killed, type Leftover } from '../support/outside-leftovers.js';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu } from '../support/qemu.js';
import { describeWithStrace } from '../support/strace.js';
import { IS_PLAIN, oneInWithEach, THINNER } from '../support/left-out.js';

const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';
const seed = seedOf();
const LANES = 2;

const FIXTURES = [
  ...['five-snapshots', 'cluster-512', 'cluster-4k', FULL_COUNTS, 'refcount-64'],
  ...['extended-l2-16k', 'compressed-spanning', 'compressed-v2', 'backing-chain', 'zeros-v2'],
  ...['vm-state-v2', 'resized-larger', 'names-odd'],
];
/** Images for each edit, and moments on each of them. */
const IMAGES = roundsOf(IS_THOROUGH ? 4 : 1);
const MOMENTS = IS_THOROUGH ? 6 : 1;
/** It takes an undisturbed run to know when the middle of an edit is: a plain run does that for one in so many. */
const EDITS_PER_MOMENT = IS_PLAIN && !IS_THOROUGH ? 3 : 1;
const CALLS_IN_A_SLICE = IS_PLAIN ? 1 : 2;
/** A delete in place has more states between its calls. */
const CALLS_IN_PLACE = IS_PLAIN ? 2 : 3;

const total = {
  edits: 0,
  kills: 0,
  atCalls: 0,
  old: 0,
  new: 0,
  cut: 0,
  leaks: 0,
  missed: 0,
  short: 0,
};

/** Whether the edit can be made: there are snapshots enough, and counts that can go up. */
function fits(edit: OutsideEdit, fixture: string): boolean {
  if (DOUBTED[fixture]?.includes(edit.on) === true) return false;
  if (fixture === FULL_COUNTS && /create|-c$|save/.test(edit.name)) return false;
  // An export of it would need a word of trust in the backing file.
  if (fixture === 'backing-chain' && edit.output !== undefined) return false;
  const { version, snapshots } = readPlain(loadFixture(fixture));
  // Version 2 has no place for the size that the disk of a snapshot had.
  if (version === 2 && snapshots.length > 0 && edit.name.startsWith('resize')) return false;
  return snapshots.length >= edit.needs;
}

function killsOf(one: KillCase, random: Random): Kill[] {
  const all = killsAtCalls(one);
  const calls = IS_THOROUGH
    ? all
    : sliceOf(all, one.edit.inPlace === true ? CALLS_IN_PLACE : CALLS_IN_A_SLICE, random);
  const isTimed = OUTSIDE_EDITS.indexOf(one.edit) % EDITS_PER_MOMENT === 0;
  const moments = Array.from({ length: isTimed ? MOMENTS : 0 }, (_, i) => {
    const stretched = i % 2 === 0;
    const from = stretched ? 0.2 : 0.5;
    return { after: from + (random.below(1000) / 1000) * (1 - from), stretched };
  });
  return [...calls, ...moments];
}

/** The call that brings the new state to the medium, and some others. */
function sliceOf(all: ReturnType<typeof killsAtCalls>, calls: number, random: Random): Kill[] {
  const slice = new Set<Kill>(all.filter(({ at }) => at === 'fdatasync').slice(-1));
  while (slice.size < Math.min(calls, all.length)) slice.add(random.pick(all));
  return [...slice];
}

async function inLanes<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await action(item);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function counted({ killed: wasKilled, state, leaks, short }: Leftover, kill: Kill): void {
  total.kills += wasKilled ? 1 : 0;
  total.missed += wasKilled ? 0 : 1;
  total.atCalls += wasKilled && 'at' in kill ? 1 : 0;
  if (wasKilled && state !== 'neither') total[state] += 1;
  total.leaks += wasKilled && leaks ? 1 : 0;
  total.short += short.length > 0 ? 1 : 0;
}

async function tryEdit(edit: OutsideEdit, fixture: string): Promise<void> {
  const random = randomFrom(seed + OUTSIDE_EDITS.indexOf(edit) * 1000 + FIXTURES.indexOf(fixture));
  const one = await killCase(edit, fixture, { root: memoryDirectory(), seed });
  const kills = killsOf(one, random);
  total.edits += 1;
  const short: string[] = [];
  await inLanes(kills, async (kill) => {
    const depth = { hashes: random.chance(0.2), again: IS_THOROUGH || random.chance(0.5) };
    const left = await killed(one, kill, depth);
    counted(left, kill);
    const what = `${edit.name} on ${fixture}, killed ${JSON.stringify(kill)}`;
    // Before each call that the undisturbed run made, the kill must have struck.
    if ('at' in kill && !left.killed) short.push(`${what}: it went on`);
    short.push(...left.short.map((text) => `${what}: ${text}`));
  });
  expect(short, `seed ${seed}`).toEqual([]);
}

/** Each command of each program; of its options a part in a plain run. A gate takes each command on one kind of image. */
const EDITS = IS_THOROUGH
  ? OUTSIDE_EDITS
  : oneInWithEach(2, OUTSIDE_EDITS, ({ program, name, on }) => [
      `${program} ${name.split(' ')[0]!} ${THINNER > 1 ? '' : on}`,
    ]);

const timeout = IS_THOROUGH ? 1_200_000 : 60_000;

describeWithQemu('killed at any moment', () => {
  describeWithStrace('an edit has been made or not', () => {
    test.each(EDITS)(`$program $name (seed ${seed})`, { timeout }, async (edit) => {
      const fitting = FIXTURES.filter((fixture) => fits(edit, fixture));
      const random = randomFrom(seed + OUTSIDE_EDITS.indexOf(edit));
      for (let image = 0; image < IMAGES && fitting.length > 0; image += 1) {
        const [fixture] = fitting.splice(random.below(fitting.length), 1);
        await tryEdit(edit, fixture!);
      }
    });
  });
});

afterAll(() => {
  console.log(
    `seed ${seed}: ${total.edits} edits, ${total.kills} kills (${total.atCalls} at a system call); ` +
      `${total.old} left the old state, ${total.new} the new one, ${total.leaks} of them with leaks, ` +
      `${total.cut} no image, ${total.missed} came too late; ${total.short} fell short`,
  );
});
