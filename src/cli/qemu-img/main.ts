import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { SnapshotDate } from '../../index.js';
import { processStreams } from '../streams.js';
import { useThreads } from '../threads.js';
import { exactArguments } from './io.js';
import { run } from './run.js';

function now(): SnapshotDate {
  const microseconds = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  return {
    seconds: Math.floor(microseconds / 1e6),
    nanoseconds: (microseconds % 1e6) * 1000,
  };
}

useThreads(process.env);
const argv = exactArguments(process.argv.slice(2), () => readFileSync('/proc/self/cmdline'));
const streams = processStreams();
void run(argv, { ...streams, now }).then(streams.exit);
