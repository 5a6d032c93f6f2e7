/**
 * Power cuts while an export makes its file: the name stands for nothing, for the older file or for
 * the whole new one, and the same export can be made again. The states come from the recorded calls
 * of the real program.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { qsnap } from '../cli/qsnap/harness.js';
import { loadFixture } from '../support/fixture.js';
import { seedOf } from '../support/model-random.js';
import { seededRandom } from '../support/mutate.js';
import { programArgv, settle, type Workplace } from '../support/outside-edits.js';
import {
  outputShortcoming,
  outputStates,
  writtenTwice,
  type OutputPlace,
  type OutputState,
} from '../support/output-states.js';
import { temporaryDirectory } from '../support/directories.js';
import {
  describeWithStrace,
  NAMING_CALLS,
  traced,
  WRITING_CALLS,
  type SystemCall,
} from '../support/strace.js';

const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 8);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 24);
/** States of each export in which it is made again. */
const AGAIN = process.env['QSNAP_THOROUGH'] === '1' ? 20 : 2;
const seed = seedOf();
const random = seededRandom(seed);

const OLD = Buffer.from('what had the name before');
const total = { exports: 0, states: 0, short: 0, again: 0 };

type Case = readonly [name: string, fixture: string, words: readonly string[]];

const CASES: readonly Case[] = [
  ['raw', 'five-snapshots', []],
  ['raw in place of an older file', 'cluster-512', ['--force']],
  ['qcow2', 'everything', ['--format', 'qcow2']],
  ['qcow2 in place of an older file', 'zeros', ['--format', 'qcow2', '--force']],
  ['compressed', 'five-snapshots', ['--format', 'qcow2', '--compress', 'zlib']],
  ['an empty disk', 'empty-disk-snapshot', ['--format', 'qcow2']],
];

interface Exported {
  readonly argv: readonly string[];
  readonly work: Workplace;
  readonly output: string;
  readonly place: OutputPlace;
  readonly calls: readonly SystemCall[];
}

/** The export, recorded. */
async function exported([, fixture, words]: Case): Promise<Exported> {
  const work = settle(temporaryDirectory(), fixture, loadFixture(fixture));
  const { folder, image, ids } = work;
  const output = path.join(folder, 'out');
  const backing = fixture === 'everything' ? ['--backing'] : [];
  const argv = ['export', ...words, ...backing, image, `id:${ids[0]!}`, '-o', output];
  if (words.includes('--force')) writeFileSync(output, OLD);
  const options = { calls: [...WRITING_CALLS, ...NAMING_CALLS] };
  const { code, stderr, calls } = await traced(programArgv('qsnap', argv), options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const partial = path.join(folder, '.out.qsnap-partial');
  const place = { partial, folder, whole: new Uint8Array(readFileSync(output)) };
  return { argv, work, output, place, calls };
}

/** Lays the state into the folder, then makes the export once more. */
async function again(done: Exported, state: OutputState): Promise<void> {
  const { argv, output, place } = done;
  const isForced = argv.includes('--force');
  for (const file of [output, place.partial]) rmSync(file, { force: true });
  const isNamed = state.name === 'final' || state.name === 'both';
  if (isNamed) writeFileSync(output, state.bytes);
  else if (isForced) writeFileSync(output, OLD);
  if (state.name === 'both') linkSync(output, place.partial);
  if (state.name === 'partial') writeFileSync(place.partial, state.bytes);
  const { code, stderr } = await qsnap(argv);
  if (isNamed && !isForced) expect(stderr).toMatch(/exists already/);
  else expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(Buffer.compare(readFileSync(output), place.whole)).toBe(0);
  total.again += 1;
}

describeWithStrace('a power cut during an export', () => {
  test.each(CASES)(`%s (seed ${seed})`, async (...one) => {
    const done = await exported(one);
    const { place, calls } = done;
    expect(writtenTwice(calls, place)).toBe(0);
    const short: string[] = [];
    const chosen: OutputState[] = [];
    let states = 0;
    for (const state of outputStates(calls, place, options)) {
      states += 1;
      const found = outputShortcoming(state, place);
      if (found !== undefined) short.push(found);
      const at = random(states);
      if (at < AGAIN) chosen[Math.min(at, chosen.length)] = state;
    }
    total.exports += 1;
    total.states += states;
    total.short += short.length;
    expect(short.slice(0, 5)).toEqual([]);
    for (const state of chosen) await again(done, state);
  });

  const options = { seed, subsetLimit: SUBSETS, samples: SAMPLES };

  test('planted faults are seen', async () => {
    const { place, calls } = await exported(CASES[0]!);
    const isSync = ({ name, file }: SystemCall, of: string): boolean =>
      /sync$/.test(name) && file === of;
    const isNaming = ({ name }: SystemCall): boolean => name.startsWith('link');
    const naming = calls.find(isNaming)!;
    const faults: Record<string, readonly SystemCall[]> = {
      'without the flush': calls.filter((call) => !isSync(call, place.partial)),
      'without the flush of the folder': calls.filter((call) => !isSync(call, place.folder)),
      'the name first': [{ ...naming, began: -2, over: -1 }, ...calls.filter((c) => !isNaming(c))],
      'bytes after the flush': calls.map((call) =>
        /^pwrite/.test(call.name) ? { ...call, began: naming.over, over: naming.over } : call,
      ),
    };
    for (const [name, worse] of Object.entries(faults)) {
      const short = [...outputStates(worse, place, options)].filter(
        (state) => outputShortcoming(state, place) !== undefined,
      );
      expect(short.length, name).toBeGreaterThan(0);
    }
  });

  afterAll(() => {
    console.log(
      `seed ${seed}: ${total.states} crash states of ${total.exports} exports judged, ` +
        `${total.short} fell short; ${total.again} exports made again on one`,
    );
  });
});
