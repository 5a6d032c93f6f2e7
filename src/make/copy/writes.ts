import { assert } from '../../base/assert.js';
import type { CompressionType } from '../../qcow2/header.js';
import type { GuestDisk } from '../../read/guest/disk.js';
import type { Compressor } from '../../read/guest/platform.js';
import type { GuestWrite } from '../new/image-writer.js';
import { isZero } from '../../base/bytes.js';
import { writtenUnits } from './divided-units.js';
import type { CopyRange, DividedUnit } from './copy-steps.js';
import { dataRanges, type GuestRange, type ZeroRule } from './zero-ranges.js';

/** A run with its bytes, if it has been read. */
export interface LoadedRun extends CopyRange {
  /** Empty unless the run is copied. */
  readonly bytes: Uint8Array;
}

/** How bytes become writes. */
export interface WriteRule {
  /** What is written whole: a cluster of the new image or, uncompressed, a subcluster. */
  readonly unitBytes: number;
  readonly diskBytes: number;
  /** Which zeros are left out; undefined: none. */
  readonly zeros: ZeroRule | undefined;
  /** Zeros are written as such, since something else would show there or might. */
  readonly explicitZeros: boolean;
  /** The disk of the new image's backing file, where it has one that is known. */
  readonly backing: GuestDisk | undefined;
  readonly compress:
    { readonly type: CompressionType; readonly compressor: Compressor } | undefined;
}

/** What the writes of one step amount to, in guest bytes but for `packedBytes`. */
export interface WriteTotals {
  /** Written as they are. */
  dataBytes: number;
  /** Left out or written as zeros. */
  zeroBytes: number;
  /** Left to the backing file. */
  keptBytes: number;
  compressedClusters: number;
  /** Guest bytes in compressed clusters. */
  compressedBytes: number;
  /** What compressed clusters take. */
  packedBytes: number;
}

/** All that is zero. */
export function noTotals(): WriteTotals {
  return {
    dataBytes: 0,
    zeroBytes: 0,
    keptBytes: 0,
    compressedClusters: 0,
    compressedBytes: 0,
    packedBytes: 0,
  };
}

/** The writes for some runs, ascending; adds to `totals` what they amount to. */
export async function writesOf(
  runs: readonly LoadedRun[],
  rule: WriteRule,
  totals: WriteTotals,
): Promise<GuestWrite[]> {
  const writes: GuestWrite[] = [];
  const zero = (from: number, to: number): void => {
    if (to <= from) return;
    totals.zeroBytes += to - from;
    if (rule.explicitZeros) writes.push({ kind: 'zero', at: from, length: to - from });
  };
  const found = await unitsToWrite(runs, rule);
  const packed = await compressed(runs, found, rule);
  let nextPacked = 0;
  for (const [index, run] of runs.entries()) {
    if (run.action === 'keep') totals.keptBytes += run.to - run.from;
    if (run.action === 'zero') zero(run.from, run.to);
    if (run.action !== 'copy') continue;
    let done = run.from;
    for (const { from, to } of found[index]!) {
      zero(done, from);
      done = to;
      if (rule.compress === undefined) {
        totals.dataBytes += to - from;
        writes.push({ kind: 'data', at: from, bytes: bytesOf(run, from, to) });
        continue;
      }
      for (const cluster of singly({ from, to }, rule.unitBytes)) {
        writes.push(written(run, cluster, packed[nextPacked], totals));
        nextPacked += 1;
      }
    }
    zero(done, run.to);
  }
  return writes;
}

/** One cluster as the compressor left it. */
function written(
  run: LoadedRun,
  { from, to }: GuestRange,
  packed: Uint8Array | undefined,
  totals: WriteTotals,
): GuestWrite {
  if (packed === undefined) {
    totals.dataBytes += to - from;
    return { kind: 'data', at: from, bytes: bytesOf(run, from, to) };
  }
  totals.compressedClusters += 1;
  totals.compressedBytes += to - from;
  totals.packedBytes += packed.length;
  return { kind: 'compressed', at: from, packed };
}

/** The units of each run that are written, as ranges that end with a unit or with the disk. */
async function unitsToWrite(
  runs: readonly LoadedRun[],
  rule: WriteRule,
): Promise<readonly (readonly GuestRange[])[]> {
  const found = runs.map((run) => unitsWithData(run, rule));
  if (rule.zeros === undefined || rule.compress !== undefined) return found;
  const open = runs.map(({ divided }, index) => unitsWithout(divided, found[index]!));
  const written = new Set(await writtenUnits(open.flat(), rule.backing));
  if (written.size === 0) return found;
  return found.map((ranges, index) => {
    const more = open[index]!.filter((unit) => written.has(unit));
    return widened(
      [...ranges, ...more].sort((a, b) => a.from - b.from),
      rule,
    );
  });
}

/** The units that none of the ranges touches; both ascend. */
function unitsWithout(
  units: readonly DividedUnit[],
  ranges: readonly GuestRange[],
): readonly DividedUnit[] {
  let next = 0;
  return units.filter(({ from, to }) => {
    while (next < ranges.length && ranges[next]!.to <= from) next += 1;
    return next === ranges.length || ranges[next]!.from >= to;
  });
}

function unitsWithData(run: LoadedRun, rule: WriteRule): readonly GuestRange[] {
  const { unitBytes, zeros, compress } = rule;
  if (run.action !== 'copy') return [];
  if (zeros === undefined) return [run];
  if (compress !== undefined) {
    return singly(run, unitBytes).filter(({ from, to }) => {
      return !isZero(run.bytes, from - run.from, to - run.from);
    });
  }
  const ranges = run.parts.flatMap((part) =>
    dataRanges(bytesOf(run, part.from, part.to), part.from, zeros),
  );
  return widened(ranges, rule);
}

/** Ascending ranges, each made whole units, and joined where they meet. */
function widened(ranges: readonly GuestRange[], { unitBytes, diskBytes }: WriteRule): GuestRange[] {
  const wide: { from: number; to: number }[] = [];
  for (const range of ranges) {
    const from = Math.floor(range.from / unitBytes) * unitBytes;
    const to = Math.min(diskBytes, Math.ceil(range.to / unitBytes) * unitBytes);
    const last = wide.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else wide.push({ from, to });
  }
  return wide;
}

/** All clusters of the runs that are to be compressed, in order. */
async function compressed(
  runs: readonly LoadedRun[],
  found: readonly (readonly GuestRange[])[],
  rule: WriteRule,
): Promise<readonly (Uint8Array | undefined)[]> {
  const { compress, unitBytes } = rule;
  if (compress === undefined) return [];
  const clusters = runs.flatMap((run, index) => {
    return found[index]!.flatMap((range) => singly(range, unitBytes)).map(({ from, to }) =>
      whole(bytesOf(run, from, to), unitBytes),
    );
  });
  if (clusters.length === 0) return [];
  const packed = await compress.compressor.compress(compress.type, clusters);
  assert(packed.length === clusters.length, 'a compressor answers for every cluster');
  return packed;
}

/** The last cluster of a disk may be a part of one; packed is always a whole one. */
function whole(bytes: Uint8Array, clusterBytes: number): Uint8Array {
  if (bytes.length === clusterBytes) return bytes;
  const cluster = new Uint8Array(clusterBytes);
  cluster.set(bytes);
  return cluster;
}

function bytesOf(run: LoadedRun, from: number, to: number): Uint8Array {
  return run.bytes.subarray(from - run.from, to - run.from);
}

function singly({ from, to }: GuestRange, clusterBytes: number): GuestRange[] {
  const clusters: GuestRange[] = [];
  for (let at = from; at < to; at += clusterBytes) {
    clusters.push({ from: at, to: Math.min(to, at + clusterBytes) });
  }
  return clusters;
}
