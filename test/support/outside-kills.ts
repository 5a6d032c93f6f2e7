/** Kills of the real programs in the middle of an edit. */
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  commandOf,
  copyWorkplace,
  programArgv,
  settle,
  type OutsideEdit,
  type Workplace,
} from './outside-edits.js';
import { startingImage } from './outside-images.js';
import { imageState, outputOf, stockHashes, type ImageState } from './outside-judge.js';
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
export function watched({ output, beside }: OutsideEdit, { folder, image }: Workplace): string[] {
  const names = [
    ...(output === undefined ? [] : [output.name, `.${output.name}.qsnap-partial`]),
    ...(beside === undefined ? [] : [beside]),
  ];
  return [image, ...names.map((name) => path.join(folder, name))];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
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
  const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const timer =
    options.killAfter === undefined
      ? undefined
      : setTimeout(() => child.kill('SIGKILL'), options.killAfter);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, milliseconds: performance.now() - began });
    });
  });
}

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

/** Makes the edit and kills it; returns whether that came in time. */
export async function strike(one: KillCase, place: Workplace, kill: Kill): Promise<boolean> {
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
