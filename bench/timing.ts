/** Whole processes, measured in turn, so that what slows the machine down slows both. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const at = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const PEAK_FILE = join(tmpdir(), `qsnap-bench-peak-${process.pid}`);

/**
 * Node reads and parses the certificates that this names before any program begins, which takes twice as
 * long as all the rest of its start where they are those of the system. Nothing here speaks TLS.
 */
export const certificates = process.env['NODE_EXTRA_CA_CERTS'];
delete process.env['NODE_EXTRA_CA_CERTS'];

export type Command = readonly string[];

export const qsnap = (...args: readonly string[]): Command => [
  process.execPath,
  at('../bin/qsnap.js'),
  ...args,
];
export const qsnapImg = (...args: readonly string[]): Command => [
  process.execPath,
  at('../bin/qsnap-img.js'),
  ...args,
];
export const node = (...args: readonly string[]): Command => [process.execPath, ...args];
export const qemuImg = (...args: readonly string[]): Command => ['qemu-img', ...args];

/** Runs a command to its end, which has to be `exitCode`; seconds. */
export function seconds(command: Command, environment = process.env, exitCode = 0): number {
  const from = process.hrtime.bigint();
  const { status, stderr } = spawnSync(command[0]!, command.slice(1), {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: environment,
  });
  const took = Number(process.hrtime.bigint() - from) / 1e9;
  if (status !== exitCode) throw new Error(`${command.join(' ')}: ${stderr}`);
  return took;
}

/** Peak of resident memory of a Node process, in MiB. */
export function peakMiB(command: Command): number {
  const peak = at('peak.mjs');
  const { status, stderr } = spawnSync(command[0]!, ['--import', peak, ...command.slice(1)], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, QSNAP_BENCH_PEAK: PEAK_FILE },
  });
  if (status !== 0 || !existsSync(PEAK_FILE)) throw new Error(`${command.join(' ')}: ${stderr}`);
  const kib = Number(readFileSync(PEAK_FILE, 'utf8'));
  rmSync(PEAK_FILE);
  return kib / 1024;
}

export interface Times {
  readonly first: number;
  readonly median: number;
  readonly fastest: number;
  readonly slowest: number;
}

function summary(values: readonly number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    first: values[0]!,
    median: sorted[Math.floor(sorted.length / 2)]!,
    fastest: sorted[0]!,
    slowest: sorted.at(-1)!,
  };
}

/** One thing that both do. What comes before each run is not measured. */
export interface Duel {
  readonly ours: () => number;
  readonly theirs: () => number;
}

export interface Outcome {
  readonly ours: Times;
  readonly theirs: Times;
}

/** Runs commands one after the other, `rounds` times: a chain that needs the one before stays whole. */
export function inTurn(commands: readonly (() => number)[], rounds: number): Times[] {
  const times = commands.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    commands.forEach((command, i) => times[i]!.push(command()));
  }
  return times.map(summary);
}

/** Runs several duels in turn, `rounds` times. */
export function fight(duels: readonly Duel[], rounds: number): Outcome[] {
  const times = inTurn(
    duels.flatMap(({ ours, theirs }) => [ours, theirs]),
    rounds,
  );
  return duels.map((_, i) => ({ ours: times[2 * i]!, theirs: times[2 * i + 1]! }));
}

export const ratio = ({ ours, theirs }: Outcome): number => theirs.median / ours.median;

/** Seconds with the digits that matter. */
export const figure = (value: number): string => value.toFixed(value < 0.1 ? 3 : 2);

/** The median, with the fastest and the slowest. */
export const shown = ({ median, fastest, slowest }: Times): string =>
  figure(median) + (fastest < slowest ? ` (${figure(fastest)}–${figure(slowest)})` : '');
