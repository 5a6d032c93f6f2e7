import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { SnapshotDate } from '../../index.js';
import { processStreams } from '../streams.js';
import { useThreads } from '../threads.js';
import type { Version } from './version/behaviour.js';
import { exactArguments } from './disks/io.js';
import { programName } from './version/program-name.js';
import { run } from './run.js';

function now(): SnapshotDate {
  const microseconds = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  return {
    seconds: Math.floor(microseconds / 1e6),
    nanoseconds: (microseconds % 1e6) * 1000,
  };
}

useThreads(process.env);
const [, script = ''] = process.argv;
const argv = exactArguments(process.argv.slice(2), () => readFileSync('/proc/self/cmdline'));
const streams = processStreams();
const program = programName(process.argv0, process.execPath, script);
const installed = async (): Promise<Version> =>
  (await import('./version/installed-version.js')).installedVersion(process.env, script);
void run(argv, { ...streams, now, program, installedVersion: installed }).then(streams.exit);
