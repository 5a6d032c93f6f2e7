/**
 * The built program, killed in edits of a group: before each system call on the images, on the record beside them and
 * on its folder. Afterwards `--resume` has to leave all images with the edit, or none. `QSNAP_THOROUGH=1` takes every
 * call; a plain run takes a slice.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { sameContents } from '../support/crash-judge-edits.js';
import { THINNER } from '../support/left-out.js';
import { temporaryDirectory } from '../support/directories.js';
import { alike } from '../support/group-cuts.js';
import { randomFrom, seedOf, type Random } from '../support/model-random.js';
import { programArgv } from '../support/outside-edits.js';
import { ran } from '../support/outside-kills.js';
import { check, describeWithQemu, snapshotList } from '../support/qemu.js';
import {
  describeWithStrace,
  injected,
  NAMING_CALLS,
  traced,
  WRITING_CALLS,
} from '../support/strace.js';

const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';
const CALLS_IN_A_SLICE = THINNER > 1 ? 3 : 5;
const LANES = 2;
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1' };
const seed = seedOf();

const IMAGES = { 'vm.qcow2': 'cluster-512', 'nvram.qcow2': 'extra-data-v2' } as const;
const NAMES = Object.keys(IMAGES);
const RECORD = '.vm.qcow2.qsnap-group';
const PARTIAL = `.${RECORD}.qsnap-partial`;
const DATE = '@1700000000.5';

const EDITS = [
  ['create', 'new', '--date', DATE],
  ['apply', 'first', '--discard-changes'],
  ['delete', 'first', 'last'],
] as const;
type WordsOf = (typeof EDITS)[number];

const total = { kills: 0, old: 0, new: 0, mixed: 0, resumed: 0 };

const inFolder = (folder: string): string[] => NAMES.map((name) => path.join(folder, name));
const bytesOf = (folder: string): Buffer[] => inFolder(folder).map((file) => readFileSync(file));
const commandOf = (words: readonly string[], folder: string): readonly string[] =>
  programArgv('qsnap', [...words, '--group', ...inFolder(folder)]);

interface Kill {
  readonly name: string;
  readonly nth: number;
}

interface GroupCase {
  readonly template: string;
  readonly root: string;
  readonly before: readonly Buffer[];
  readonly after: readonly Buffer[];
  readonly kills: readonly Kill[];
}

function watchedIn(folder: string): string[] {
  return [...inFolder(folder), path.join(folder, RECORD), path.join(folder, PARTIAL), folder];
}

/** Makes the edit once where nothing disturbs it, and notes its calls. */
async function caseOf(words: WordsOf): Promise<GroupCase> {
  const root = temporaryDirectory();
  const template = mkdtempSync(path.join(root, 'template-'));
  for (const [name, fixture] of Object.entries(IMAGES)) {
    writeFileSync(path.join(template, name), await alike(fixture));
  }
  const done = mkdtempSync(path.join(root, 'done-'));
  cpSync(template, done, { recursive: true });
  const calls = [...WRITING_CALLS, ...NAMING_CALLS];
  const run = await traced(commandOf(words, done), { calls, env: ONE_THREAD });
  expect(run.stderr).toBe('');
  const files = watchedIn(done);
  const counts = new Map<string, number>();
  const kills = run.calls
    .filter(({ file, args }) => files.some((one) => one === file || args.includes(`"${one}"`)))
    .map(({ name, thread }) => {
      // A tracer counts each name for itself, and each thread.
      const nth = (counts.get(`${thread} ${name}`) ?? 0) + 1;
      counts.set(`${thread} ${name}`, nth);
      return { name, nth };
    });
  expect(readdirSync(done).toSorted()).toEqual([...NAMES].toSorted());
  return { template, root, before: bytesOf(template), after: bytesOf(done), kills };
}

/** Of each image whether it is as before or as after; what is wrong otherwise. */
function statesOf(one: GroupCase, folder: string): string[] {
  return bytesOf(folder).map((bytes, i) => {
    const { corruptions, leaks } = checkPlain(bytes);
    if (corruptions.length > 0 || leaks.size > 0) return `${corruptions.join('; ')}, leaks`;
    const found = contentsOf(bytes);
    if (sameContents(found, contentsOf(one.before[i]!))) return 'old';
    return sameContents(found, contentsOf(one.after[i]!)) ? 'new' : 'neither old nor new';
  });
}

async function killedAt(one: GroupCase, words: WordsOf, kill: Kill): Promise<readonly string[]> {
  const folder = mkdtempSync(path.join(one.root, 'killed-'));
  cpSync(one.template, folder, { recursive: true });
  const what = `signal=KILL:when=${kill.nth}`;
  const files = watchedIn(folder);
  const argv = injected(commandOf(words, folder), { calls: [kill.name], files, what });
  const short: string[] = [];
  if ((await ran(argv, { env: ONE_THREAD })).signal !== 'SIGKILL') short.push('it went on');
  const states = statesOf(one, folder);
  const isMixed = new Set(states).size > 1;
  total.kills += 1;
  total[isMixed ? 'mixed' : states[0] === 'new' ? 'new' : 'old'] += 1;
  const hasRecord = existsSync(path.join(folder, RECORD));
  if (isMixed && !hasRecord) short.push('mixed without a record');
  const known = new Set([...NAMES, RECORD, PARTIAL]);
  short.push(...readdirSync(folder).filter((name) => !known.has(name)));
  // Another edit is refused as long as there is a record.
  const other = await ran(commandOf(['create', 'other', '--dry-run'], folder));
  if (other.code !== (hasRecord ? 1 : 0)) short.push(`another edit: ${other.stderr}`);
  const again = words.filter((word) => word === '--discard-changes');
  const { code, stderr } = await ran(commandOf([words[0], '--resume', ...again], folder));
  if (code !== 0) short.push(`resume: ${stderr}`);
  total.resumed += hasRecord ? 1 : 0;
  const after = statesOf(one, folder);
  const expected = hasRecord ? 'new' : states[0]!;
  if (after.some((state) => state !== expected)) short.push(`resumed: ${after.join(', ')}`);
  if (existsSync(path.join(folder, RECORD))) short.push('the record is still there');
  if (existsSync(path.join(folder, PARTIAL))) short.push('half a record is still there');
  short.push(...(await judgedByQemu(one, folder, expected)));
  if (expected === 'old') short.push(...(await madeAgain(one, words, folder)));
  rmSync(folder, { recursive: true });
  return short.map((text) => `killed at ${kill.name} ${kill.nth}: ${text}`);
}

/** QEMU finds nothing wrong, and lists the snapshots that there are to be. */
async function judgedByQemu(one: GroupCase, folder: string, state: string): Promise<string[]> {
  const short: string[] = [];
  for (const [i, file] of inFolder(folder).entries()) {
    const { code, report } = await check(file);
    if (code !== 0) short.push(`qemu-img check ${file}: ${JSON.stringify(report)}`);
    const twin = path.join(folder, 'twin.qcow2');
    writeFileSync(twin, (state === 'new' ? one.after : one.before)[i]!);
    const [found, wanted] = [await snapshotList(file), await snapshotList(twin)];
    if (!isDeepStrictEqual(found, wanted)) short.push(`QEMU lists ${JSON.stringify(found)}`);
    rmSync(twin);
  }
  return short;
}

/** The edit can be made anew, and leaves nothing beside the images. */
async function madeAgain(one: GroupCase, words: WordsOf, folder: string): Promise<string[]> {
  const { code, stderr } = await ran(commandOf(words, folder));
  if (code !== 0) return [`again: ${stderr}`];
  const states = statesOf(one, folder);
  const left = readdirSync(folder).filter((name) => !NAMES.includes(name));
  return [
    ...(states.every((state) => state === 'new') ? [] : [`again: ${states.join(', ')}`]),
    ...left.map((name) => `again: left ${name}`),
  ];
}

/** The switch of the second image, before which the images differ; others while the record is there; and some more. */
function sliceOf(kills: readonly Kill[], random: Random): readonly Kill[] {
  if (IS_THOROUGH) return kills;
  const named = kills.findIndex(({ name }) => name.startsWith('rename'));
  const removed = kills.findIndex(({ name }) => name.startsWith('unlink'));
  const between = kills.slice(named + 1, removed + 1);
  const slice = new Set(between.filter(({ name }) => name === 'pwrite64').slice(-1));
  while (slice.size < Math.min(CALLS_IN_A_SLICE, kills.length)) {
    slice.add(random.pick(slice.size < 3 ? between : kills));
  }
  return [...slice];
}

describeWithQemu('a group edit that is killed', () => {
  describeWithStrace('is made everywhere or nowhere once it is resumed', () => {
    test.each(EDITS)(
      `%s %s (seed ${seed})`,
      { timeout: IS_THOROUGH ? 1_200_000 : 60_000 },
      async (...words) => {
        const one = await caseOf(words as unknown as WordsOf);
        const left = [...sliceOf(one.kills, randomFrom(seed))];
        const short: string[] = [];
        const lane = async (): Promise<void> => {
          for (let kill = left.shift(); kill !== undefined; kill = left.shift()) {
            short.push(...(await killedAt(one, words as unknown as WordsOf, kill)));
          }
        };
        await Promise.all(Array.from({ length: LANES }, lane));
        expect(short, `seed ${seed}`).toEqual([]);
      },
    );
  });
});

afterAll(() => {
  console.log(
    `seed ${seed}: ${total.kills} kills of group edits, ${total.old} left all old, ${total.new} all new, ` +
      `${total.mixed} some of each; ${total.resumed} resumed; 0 fell short`,
  );
});
