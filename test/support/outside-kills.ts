/** Kills of the real programs in the middle of an edit, and what each of them left. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  copyWorkplace,
  FULL_COUNTS,
  NEW_NAME,
  programArgv,
  settle,
  snapshotWords,
  startingImage,
  type OutsideEdit,
  type Workplace,
} from './outside-edits.js';
import {
  differences,
  imageState,
  isNoImage,
  outputOf,
  stockHashes,
  type ImageState,
} from './outside-judge.js';
import { qemuIo } from './qemu.js';
import { injected, NAMING_CALLS, traced, WRITING_CALLS, type SystemCall } from './strace.js';

/** Before each of these a program may be killed. */
const KILLING_CALLS = [...WRITING_CALLS, ...NAMING_CALLS];

/** How a program is killed. */
export type Kill =
  /** Just before a call on one of the files: the N-th of its name, counted from 1. */
  | { readonly at: string; readonly nth: number }
  /** After a part of the time that it takes; stretched, it waits before each call. */
  | { readonly after: number; readonly stretched: boolean };

export interface KillCase {
  readonly edit: OutsideEdit;
  readonly fixture: string;
  readonly template: Workplace;
  readonly before: ImageState;
  readonly after: ImageState;
  readonly outputs: { readonly before: Buffer | undefined; readonly after: Buffer | undefined };
  /** By QEMU's tools, what each disk holds before and after. */
  readonly hashes: (state: 'old' | 'new') => Promise<readonly string[]>;
  /** The calls on the image and the files beside it of a run that nothing disturbs. */
  readonly calls: readonly SystemCall[];
  /** How long the edit takes, stretched or not. */
  readonly milliseconds: (stretched: boolean) => Promise<number>;
}

const CALL_DELAY_US = 12_000;
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1' };

/** All files that the edit may touch, whether they are there or not. */
function watched({ output, beside }: OutsideEdit, { folder, image }: Workplace): string[] {
  const names = [
    ...(output === undefined ? [] : [output.name, `.${output.name}.qsnap-partial`]),
    ...(beside === undefined ? [] : [beside]),
  ];
  return [image, ...names.map((name) => path.join(folder, name))];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Runs a program to its end, or kills it after some time. */
export function ran(
  argv: readonly string[],
  options: { env?: Readonly<Record<string, string>>; killAfter?: number } = {},
): Promise<Ended> {
  const began = performance.now();
  const env = { ...process.env, TZ: 'UTC', ...options.env };
  const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const timer =
    options.killAfter === undefined
      ? undefined
      : setTimeout(() => child.kill('SIGKILL'), options.killAfter);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stderr, milliseconds: performance.now() - began });
    });
  });
}

const commandOf = (edit: OutsideEdit, place: Workplace): readonly string[] =>
  programArgv(edit.program, edit.argv(place));

function stretchedCommand(edit: OutsideEdit, place: Workplace): readonly string[] {
  const files = watched(edit, place);
  const what = `delay_enter=${CALL_DELAY_US}`;
  return injected(commandOf(edit, place), { calls: WRITING_CALLS, files, what });
}

/** Makes the edit once where nothing disturbs it, in a folder below `root`. */
export async function killCase(
  edit: OutsideEdit,
  fixture: string,
  options: { root: string; seed: number },
): Promise<KillCase> {
  const base = mkdtempSync(path.join(options.root, 'case-'));
  const home = mkdtempSync(path.join(base, 'template-'));
  const { on, output } = edit;
  const template = settle(home, fixture, startingImage(fixture, on, options.seed));
  if (on === 'repaired') {
    const words = ['repair', '--undo', path.join(home, 'undo'), template.image];
    await expectDone(programArgv('qsnap', words));
  }
  if (output?.before === 'an old file') writeFileSync(path.join(home, output.name), 'an old file');
  const before = await imageState(template);
  const done = copyWorkplace(template, path.join(base, 'done'));
  const { code, stderr, calls } = await traced(commandOf(edit, done), {
    calls: KILLING_CALLS,
    env: ONE_THREAD,
  });
  if (code !== 0) throw new Error(`${edit.name} on ${fixture}: ${stderr}`);
  const files = watched(edit, done);
  const time = async (stretched: boolean): Promise<number> => {
    const place = copyWorkplace(template, path.join(base, `timed-${stretched}`));
    const argv = stretched ? stretchedCommand(edit, place) : commandOf(edit, place);
    return (await expectDone(argv)).milliseconds;
  };
  const hash = (state: 'old' | 'new'): Promise<readonly string[]> =>
    stockHashes(copyWorkplace(state === 'old' ? template : done, path.join(base, `hash-${state}`)));
  return {
    ...{ edit, fixture, template, before },
    after: await imageState(done),
    outputs: { before: outputIn(edit, template), after: outputIn(edit, done) },
    calls: calls.filter(({ file, args }) => files.some((one) => one === file || names(args, one))),
    milliseconds: onceFor(time),
    hashes: onceFor(hash),
  };
}

function onceFor<K, V>(make: (key: K) => Promise<V>): (key: K) => Promise<V> {
  const made = new Map<K, Promise<V>>();
  return (key) => {
    const value = made.get(key) ?? make(key);
    made.set(key, value);
    return value;
  };
}

const names = (args: string, file: string): boolean => args.includes(`"${file}"`);

const outputIn = (edit: OutsideEdit, place: Workplace): Buffer | undefined =>
  edit.output === undefined ? undefined : outputOf(edit, place);

async function expectDone(argv: readonly string[]): Promise<Ended> {
  const ended = await ran(argv);
  if (ended.code !== 0) throw new Error(`${argv.join(' ')}: ${ended.stderr}`);
  return ended;
}

/** A kill before each call of the undisturbed run, in their order. */
export function killsAtCalls({ calls }: KillCase): Extract<Kill, { at: string }>[] {
  // A tracer counts each name for itself, and each thread.
  const counts = new Map<string, number>();
  return calls.map(({ name, thread }) => {
    const key = `${thread} ${name}`;
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    return { at: name, nth };
  });
}

/** What a kill left. */
export interface Leftover {
  readonly killed: boolean;
  /** `cut`: an output that nobody takes for an image. */
  readonly state: 'old' | 'new' | 'cut' | 'neither';
  readonly short: readonly string[];
}

/** Judges also by QEMU's own reading of every disk, and makes the edit again. */
export interface Depth {
  readonly hashes: boolean;
  readonly again: boolean;
}

/** Makes the edit, kills it, and judges what is left. */
export async function killed(one: KillCase, kill: Kill, depth: Depth): Promise<Leftover> {
  const folder = mkdtempSync(path.join(tmpdir(), 'qsnap-kill-'));
  try {
    const place = copyWorkplace(one.template, folder);
    const wasKilled = await strike(one, place, kill);
    const { state, short } = await judged(one, place);
    if (state !== 'neither') {
      const lock = await qemuIo(place.image, ['read 0 512'], { format: 'raw', okCodes: 'any' });
      if (lock.code !== 0) short.push(`QEMU can't open it for writing: ${lock.stderr}`);
      if (depth.hashes) short.push(...(await hashShortcomings(one, place, state)));
      if (depth.again) short.push(...(await editAgain(one, place, state)));
    }
    return { killed: wasKilled, state, short };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function strike(one: KillCase, place: Workplace, kill: Kill): Promise<boolean> {
  const { edit } = one;
  const plain = commandOf(edit, place);
  if ('at' in kill) {
    const files = watched(edit, place);
    const what = `signal=KILL:when=${kill.nth}`;
    const argv = injected(plain, { calls: [kill.at], files, what });
    return (await ran(argv, { env: ONE_THREAD })).signal === 'SIGKILL';
  }
  const argv = kill.stretched ? stretchedCommand(edit, place) : plain;
  const killAfter = kill.after * (await one.milliseconds(kill.stretched));
  return (await ran(argv, { killAfter })).signal === 'SIGKILL';
}

interface Judgement {
  readonly state: Leftover['state'];
  readonly short: string[];
}

async function judged(one: KillCase, place: Workplace): Promise<Judgement> {
  const found =
    one.edit.output === undefined ? await judgedImage(one, place) : judgedOutput(one, place);
  const known = new Set([...readdirSync(one.template.folder), 'image.qcow2']);
  for (const file of watched(one.edit, place).slice(1)) known.add(path.basename(file));
  const strays = readdirSync(place.folder).filter((name) => !known.has(name));
  if (strays.length > 0) found.short.push(`left beside the image: ${strays.join(', ')}`);
  return found;
}

async function judgedImage(one: KillCase, place: Workplace): Promise<Judgement> {
  const state = await imageState(place).catch((error: unknown) => String(error));
  if (typeof state === 'string') return { state: 'neither', short: [state] };
  const toOld = differences(state, one.before);
  if (toOld.length === 0) return { state: 'old', short: [] };
  const toNew = differences(state, one.after);
  if (toNew.length === 0) return { state: 'new', short: [] };
  return { state: 'neither', short: [`to old: ${toOld.join('; ')}; to new: ${toNew.join('; ')}`] };
}

function judgedOutput(one: KillCase, place: Workplace): Judgement {
  const short: string[] = [];
  if (!readFileSync(place.image).equals(one.before.bytes)) short.push('the image was written to');
  const output = outputOf(one.edit, place);
  const { before, after } = one.outputs;
  const isOld = output === undefined ? before === undefined : before?.equals(output) === true;
  if (isOld) return { state: 'old', short };
  if (output !== undefined && after!.equals(output)) return { state: 'new', short };
  // Only convert writes where its output is to lie, as qemu-img does.
  if (one.edit.name === 'convert' && output !== undefined && isNoImage(output)) {
    return { state: 'cut', short };
  }
  return { state: 'neither', short: [...short, 'the output is neither the old nor the new one'] };
}

async function hashShortcomings(
  one: KillCase,
  place: Workplace,
  state: 'old' | 'new' | 'cut',
): Promise<string[]> {
  if (one.edit.output !== undefined || state === 'cut') return [];
  const [found, expected] = [await stockHashes(place), await one.hashes(state)];
  return found.join() === expected.join() ? [] : ['QEMU reads something else than it should'];
}

/** The same edit once more, or where it was done, another one. */
async function editAgain(
  one: KillCase,
  place: Workplace,
  state: Leftover['state'],
): Promise<string[]> {
  const { edit } = one;
  if (edit.name === 'repair --undo') return undoAndRepair(one, place, state);
  if (edit.output !== undefined && state === 'new') return [];
  if (state === 'new' && edit.name !== 'undo') return anotherEdit(one, place);
  const { code, stderr } = await ran(commandOf(edit, place));
  if (code !== 0) return [`again: ${stderr}`];
  const found = await judged(one, place);
  const short = found.short.map((text) => `again: ${text}`);
  // Where the disk was the snapshot's already, old and new are one.
  const isOne = edit.output === undefined && differences(one.before, one.after).length === 0;
  if (found.state !== (isOne ? 'old' : 'new')) short.push(`again: ${found.state}`);
  const partial = readdirSync(place.folder).filter((name) => name.endsWith('qsnap-partial'));
  if (partial.length > 0) short.push(`again: left ${partial.join(', ')}`);
  return short;
}

async function anotherEdit(one: KillCase, place: Workplace): Promise<string[]> {
  if (one.edit.on !== 'sound') return [];
  const [doomed] = one.fixture === FULL_COUNTS ? snapshotWords(one.after.bytes, 'id') : [];
  const words =
    doomed === undefined
      ? ['create', place.image, `after ${NEW_NAME}`]
      : ['delete', place.image, `id:${doomed}`];
  const { code, stderr } = await ran(programArgv('qsnap', words));
  if (code !== 0) return [`another edit: ${stderr}`];
  const { stock, contents } = await imageState(place);
  const more = contents.snapshots.length - one.after.contents.snapshots.length;
  const isDone = more === (doomed === undefined ? 1 : -1);
  return stock === one.after.stock && isDone ? [] : [`another edit: ${stock}`];
}

/** Whatever is left of the undo file, undoing gives the damaged image; then all goes as it should. */
async function undoAndRepair(
  one: KillCase,
  place: Workplace,
  state: Leftover['state'],
): Promise<string[]> {
  const file = path.join(place.folder, 'undo');
  const undone = await ran(programArgv('qsnap', ['undo', file, place.image]));
  const isDamaged = readFileSync(place.image)
    .subarray(0, one.before.bytes.length)
    .equals(one.before.bytes);
  if (state === 'new' && undone.code !== 0) return [`undo: ${undone.stderr}`];
  if (!isDamaged) return ['undo: not the bytes from before'];
  rmSync(file, { force: true });
  const { code, stderr } = await ran(commandOf(one.edit, place));
  if (code !== 0) return [`again: ${stderr}`];
  const after = await judged(one, place);
  return after.state === 'new' ? after.short : [`again: ${after.state}`, ...after.short];
}
