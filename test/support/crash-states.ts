/**
 * All disk images that a power cut may leave. What was sent before a flush resolved is on the
 * medium; of what was sent since, any part may be: any subset of the changes, and of each write
 * any subset of its 512-byte sectors, each of them whole. The file may have its old length or any
 * that a change in flight gave it.
 */
import type { Change, Recorded } from './recording-device.js';

export interface CrashOptions {
  /** Decides every random choice. */
  readonly seed: number;
  /** With no more changes in flight than this, all their subsets are made. Default 12. */
  readonly subsetLimit?: number;
  /** Random states for each point of the log where more are in flight, and torn ones. Default 64. */
  readonly samples?: number;
}

export interface CrashState {
  readonly bytes: Uint8Array;
  /** Which changes reached the medium, for the message of a failed test. */
  readonly description: string;
  /** Number of flushes that had completed. */
  readonly barrier: number;
}

const SECTOR_BYTES = 512;

/** The part of a change that reached the medium. */
interface Applied {
  readonly change: Change;
  /** For a torn write: which of its sectors are there. */
  readonly sectors?: ReadonlySet<number>;
  /** For a torn write: the file has the new length, though the sectors at its end may be missing. */
  readonly grown?: boolean;
}

/**
 * Yields the states of every interval between flushes, first the one with nothing in flight. The
 * same log and seed give the same states.
 */
export function* crashStates(
  log: readonly Recorded[],
  initialBytes: Uint8Array,
  options: CrashOptions,
): Generator<CrashState> {
  const random = randomSource(options.seed);
  let durable: Uint8Array = initialBytes.slice();
  let barrier = 0;
  for (const inFlight of intervals(log)) {
    for (const applied of choices(inFlight, options, random)) {
      const bytes = applyAll(durable, applied);
      yield { bytes, description: describe(barrier, inFlight, applied), barrier };
    }
    durable = mediumAfter(durable, inFlight);
    barrier += 1;
  }
}

/** The medium once all these changes have reached it. */
export function mediumAfter(durable: Uint8Array, changes: readonly Change[]): Uint8Array {
  return applyAll(
    durable,
    changes.map((change) => ({ change })),
  );
}

/** The changes between flushes; the last interval is what no flush followed. */
function intervals(log: readonly Recorded[]): Change[][] {
  const all: Change[][] = [[]];
  for (const entry of log) {
    if (entry.kind === 'flush') all.push([]);
    else if (entry.kind !== 'read') all.at(-1)!.push(entry);
  }
  return all;
}

function* choices(
  inFlight: readonly Change[],
  options: CrashOptions,
  random: () => number,
): Generator<Applied[]> {
  const { subsetLimit = 12, samples = 64 } = options;
  if (inFlight.length <= subsetLimit) {
    for (let subset = 0; subset < 2 ** inFlight.length; subset += 1) {
      yield chosen(inFlight, (index) => Math.floor(subset / 2 ** index) % 2 === 1);
    }
  } else {
    yield [];
    yield chosen(inFlight, () => true);
    // What is sent in order often arrives in order: every prefix, or as many as samples.
    const step = Math.max(1, Math.ceil(inFlight.length / samples));
    for (let count = step; count < inFlight.length; count += step) {
      yield chosen(inFlight, (index) => index < count);
    }
    for (let i = 0; i < samples; i += 1) {
      const share = random();
      yield chosen(inFlight, () => random() < share);
    }
  }
  yield* tornChoices(inFlight, samples, random);
}

function chosen(inFlight: readonly Change[], picks: (index: number) => boolean): Applied[] {
  return inFlight.filter((_, index) => picks(index)).map((change) => ({ change }));
}

/** Subsets in which writes of several sectors are there in part. */
function* tornChoices(
  inFlight: readonly Change[],
  samples: number,
  random: () => number,
): Generator<Applied[]> {
  if (!inFlight.some((change) => sectorCount(change) > 1)) return;
  for (let i = 0; i < samples; i += 1) {
    const share = random();
    const applied: Applied[] = [];
    for (const change of inFlight) {
      const count = sectorCount(change);
      if (count <= 1) {
        if (random() < share) applied.push({ change });
        continue;
      }
      const sectors = tornSectors(count, random);
      applied.push({ change, sectors, grown: random() < 0.5 });
    }
    yield applied;
  }
}

/** A prefix, a suffix or any set of `count` sectors: the ways in which writes tear. */
function tornSectors(count: number, random: () => number): ReadonlySet<number> {
  const all = Array.from({ length: count }, (_, index) => index);
  const cut = Math.floor(random() * (count + 1));
  const way = Math.floor(random() * 3);
  if (way === 0) return new Set(all.slice(0, cut));
  if (way === 1) return new Set(all.slice(cut));
  const share = random();
  return new Set(all.filter(() => random() < share));
}

/** Sectors of the medium that a write touches; a punch counts as one change. */
function sectorCount(change: Change): number {
  if (change.kind !== 'write') return 1;
  const first = Math.floor(change.at / SECTOR_BYTES);
  return Math.ceil((change.at + change.bytes.length) / SECTOR_BYTES) - first;
}

function applyAll(durable: Uint8Array, applied: readonly Applied[]): Uint8Array {
  let longest = durable.length;
  for (const { change } of applied) longest = Math.max(longest, reachOf(change));
  const memory = new Uint8Array(longest);
  memory.set(durable);
  let sizeBytes = durable.length;
  for (const { change, sectors, grown } of applied) {
    if (change.kind === 'truncate') {
      memory.fill(0, Math.min(change.sizeBytes, sizeBytes), sizeBytes);
      sizeBytes = change.sizeBytes;
    } else if (change.kind === 'punch') {
      memory.fill(
        0,
        change.at,
        Math.max(change.at, Math.min(change.at + change.length, sizeBytes)),
      );
    } else {
      sizeBytes = Math.max(sizeBytes, applyWrite(memory, change, sectors));
      if (grown === true) sizeBytes = Math.max(sizeBytes, reachOf(change));
    }
  }
  return memory.slice(0, sizeBytes);
}

function reachOf(change: Change): number {
  if (change.kind === 'write') return change.at + change.bytes.length;
  return change.kind === 'truncate' ? change.sizeBytes : 0;
}

/** Puts those sectors of the write in place; the end of the last one that is there. */
function applyWrite(
  memory: Uint8Array,
  write: { readonly at: number; readonly bytes: Uint8Array },
  sectors: ReadonlySet<number> | undefined,
): number {
  const { at, bytes } = write;
  if (sectors === undefined) {
    memory.set(bytes, at);
    return at + bytes.length;
  }
  const firstSector = Math.floor(at / SECTOR_BYTES);
  let reached = 0;
  for (const index of sectors) {
    const from = Math.max(at, (firstSector + index) * SECTOR_BYTES);
    const to = Math.min(at + bytes.length, (firstSector + index + 1) * SECTOR_BYTES);
    memory.set(bytes.subarray(from - at, to - at), from);
    reached = Math.max(reached, to);
  }
  return reached;
}

function describe(
  barrier: number,
  inFlight: readonly Change[],
  applied: readonly Applied[],
): string {
  const parts = applied.map(({ change, sectors, grown }) => {
    const name = `#${inFlight.indexOf(change)} ${nameOf(change)}`;
    if (sectors === undefined) return name;
    const torn = `${name} sectors ${[...sectors].join(',')} of ${sectorCount(change)}`;
    return grown === true ? `${torn}, length` : torn;
  });
  const what = parts.length === 0 ? 'nothing' : parts.join('; ');
  return `after ${barrier} flushes, ${applied.length} of ${inFlight.length} in flight: ${what}`;
}

function nameOf(change: Change): string {
  if (change.kind === 'truncate') return `truncate to ${change.sizeBytes}`;
  const length = change.kind === 'punch' ? change.length : change.bytes.length;
  return `${change.kind} ${length} bytes at ${change.at}`;
}

/** Mulberry32: small, and good enough to choose states. */
function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
