/**
 * The fuzzer: `npm run fuzz -- --seconds 600 --seed 1`, or `--input FILE…` to put saved files
 * through once more. A line a minute, a summary at the end, exit code 1 where something failed.
 */
import { fork } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { putThrough, type Failure, type Figures } from './campaign.js';
import { Faces, writeSpecimen } from './faces.js';
import { Meter, watchTypedArrays } from './meter.js';
import { specimenOf, type Specimen } from './specimen.js';
import type { Orders, Report } from './child.js';

/** Nothing is heard for so long only where an input does not end. */
const HANG_MS = 300_000;
/** More is read as a hole. */
const LOADED_BYTES = 64 * 2 ** 20;
/** After so many failures there is enough to look at. */
const FAILURES_MAX = 50;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string' },
    input: { type: 'string', multiple: true },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function summary({ inputs, uses, opened, ...rest }: Figures, seconds: number): string {
  const { blocksCovered, blocksKnown, corpus, seeds, refusalCodes, peaks } = rest;
  const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  return (
    `${Math.round(seconds)} s: ${inputs} inputs (${(inputs / seconds).toFixed(1)}/s), ` +
    `${uses} uses, ${opened} opened, ${blocksCovered} of ${blocksKnown} blocks, ` +
    `corpus ${corpus} from ${seeds} seeds, ${refusalCodes} refusal codes; at most ` +
    `${Math.round(peaks.cpuMs)} ms of CPU a use, ${mib(peaks.pieceBytes)} in one piece, ` +
    `${mib(peaks.residentBytes)} resident`
  );
}

/** Saves what fails, prints the first lines of why. */
class Failures {
  readonly #folder: string;
  readonly #seen = new Map<string, number>();
  count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  add({ input, story, specimen, faults }: Failure): void {
    this.count += 1;
    const kind = faults[0]!.replace(/\d+/g, 'N').slice(0, 120);
    const times = (this.#seen.get(kind) ?? 0) + 1;
    this.#seen.set(kind, times);
    // The third of a kind teaches nothing.
    if (times > 2) return;
    mkdirSync(this.#folder, { recursive: true });
    const path = join(this.#folder, `${input}.qcow2`);
    writeSpecimen(path, specimen);
    print(`FAILED input ${input}: ${story}`);
    for (const fault of faults.slice(0, 4)) print(`  ${fault.slice(0, 1200)}`);
    print(`  npm run fuzz -- --input ${path}`);
  }

  kinds(): string {
    return [...this.#seen].map(([kind, times]) => `  ${times} × ${kind}`).join('\n');
  }
}

function campaign(seed: number, seconds: number): Promise<number> {
  const folder = values.keep ?? join(tmpdir(), `qsnap-fuzz-${seed}`);
  mkdirSync(folder, { recursive: true });
  const failures = new Failures(folder);
  const currentPath = join(folder, 'current.qcow2');
  const child = fork(new URL('child.ts', import.meta.url), { serialization: 'advanced' });
  child.send({ seed, seconds, currentPath } satisfies Orders);
  const started = Date.now();
  print(`seed ${seed}, ${seconds} s`);
  return new Promise((resolve) => {
    let figures: Figures | undefined;
    let [printed, heard, isOver] = [started, started, false];
    const finish = (): void => {
      isOver = true;
      clearInterval(watch);
      if (figures !== undefined) print(summary(figures, (Date.now() - started) / 1000));
      print(`${failures.count} failures, seed ${seed}`);
      if (failures.count > 0) print(failures.kinds());
      resolve(failures.count > 0 ? 1 : 0);
    };
    const dead = (why: string): void => {
      if (isOver) return;
      const story = readFileSync(`${currentPath}.txt`, 'utf8');
      failures.add({ input: -1, story, specimen: loaded(currentPath), faults: [why] });
      child.kill('SIGKILL');
      finish();
    };
    const watch = setInterval(() => {
      const now = Date.now();
      if (now - heard > HANG_MS) dead(`no end after ${HANG_MS} ms`);
      if (now - printed < 60_000 || figures === undefined) return;
      printed = now;
      print(`${summary(figures, (now - started) / 1000)}; ${failures.count} failures`);
    }, 1000);
    child.on('message', (report: Report) => {
      figures = report.figures;
      heard = Date.now();
      for (const failure of report.failures) failures.add(failure);
      if (!report.isLast && failures.count < FAILURES_MAX) return;
      finish();
      if (!report.isLast) child.kill('SIGKILL');
    });
    child.on('exit', (code, signal) => {
      dead(`the process ended with ${String(code ?? signal)}`);
    });
  });
}

function loaded(path: string): Specimen {
  const file = openSync(path, 'r');
  const { size } = fstatSync(file);
  const bytes = new Uint8Array(Math.min(size, LOADED_BYTES));
  for (let done = 0; done < bytes.length;)
    done += readSync(file, bytes, done, bytes.length - done, done);
  closeSync(file);
  return specimenOf(bytes, size);
}

/** The choice of repair follows from a seed: all of them are tried. */
const REPAIR_SEEDS = 12;

async function putThroughAgain(paths: readonly string[]): Promise<number> {
  watchTypedArrays();
  const faces = new Faces();
  let failed = 0;
  for (const path of paths) {
    const specimen = loaded(path);
    const peaks = { cpuMs: 0, pieceBytes: 0, residentBytes: 0 };
    const meter = new Meter(specimen, peaks);
    for (let seed = 0; seed < REPAIR_SEEDS; seed++) {
      const image = await putThrough(specimen, seed, meter);
      if (seed === 0) await faces.run(specimen, image, meter);
    }
    failed += Number(meter.faults.length > 0);
    print(`${path}: ${meter.uses} uses, ${meter.faults.length} faults`);
    for (const fault of new Set(meter.faults)) print(`  ${fault}`);
  }
  faces.close();
  return failed > 0 ? 1 : 0;
}

process.exitCode =
  values.input === undefined
    ? await campaign(Number(values.seed), Number(values.seconds))
    : await putThroughAgain(values.input);
