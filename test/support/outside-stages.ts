/** Holds the system calls of a delete in place to its stages and to the flushes between them. */
import type { CallRange, SystemCall } from './strace.js';
import { rangeOf } from './strace.js';

/** The stages of a plan, as `--dry-run --json` prints them. */
export interface PlannedStages {
  readonly stages: readonly { readonly what: string; readonly writes: readonly CallRange[] }[];
  readonly punch: readonly CallRange[];
}

const SECTOR_BYTES = 512;
const isWrite = ({ name }: SystemCall): boolean => name === 'pwrite64';
const isFlush = ({ name }: SystemCall): boolean => name === 'fdatasync';
const isHole = ({ name, args }: SystemCall): boolean =>
  name === 'fallocate' && args.includes('PUNCH_HOLE');
const isHeader = (call: SystemCall): boolean =>
  isWrite(call) && rangeOf(call).offset < SECTOR_BYTES;
const text = ({ name, args }: SystemCall): string => `${name}(${args})`;

/**
 * In what the calls on the image fall short of what every delete in place keeps to, whatever its
 * plan: each write of the header has a flush of its own before it and after it.
 */
export function headerShortcomings(calls: readonly SystemCall[]): string[] {
  const short = calls.filter(({ result }) => result < 0).map((call) => `failed: ${text(call)}`);
  const others = calls.filter((call) => !isWrite(call) && !isFlush(call) && !isHole(call));
  short.push(...others.map(text));
  const headers = calls.filter(isHeader);
  if (headers.length === 0) short.push('the header is never written');
  for (const header of headers) {
    const { offset, length } = rangeOf(header);
    if (offset < 24 || offset + length > 96) short.push(`${length} bytes at ${offset}`);
    for (const call of calls.filter((one) => one !== header && (isWrite(one) || isHole(one)))) {
      const isApart =
        isFlushedBetween(calls, call, header) || isFlushedBetween(calls, header, call);
      if (!isApart) short.push(`no flush between ${text(call)} and ${text(header)}`);
    }
  }
  const writes = calls.filter(isWrite);
  for (const hole of calls.filter(isHole)) {
    const early = writes.filter((write) => !isFlushedBetween(calls, write, hole));
    if (early.length > 0) short.push(`no flush between ${text(early[0]!)} and ${text(hole)}`);
  }
  const last = Math.max(...writes.map(({ over }) => over));
  if (!calls.some((call) => isFlush(call) && call.began > last)) short.push('no flush in the end');
  return short;
}

function isFlushedBetween(calls: readonly SystemCall[], a: SystemCall, b: SystemCall): boolean {
  return calls.some((call) => isFlush(call) && a.over < call.began && call.over < b.began);
}

/** In what they fall short of their plan: a stage begins when the one before is whole and flushed. */
export function stageShortcomings(calls: readonly SystemCall[], plan: PlannedStages): string[] {
  const short: string[] = [];
  const writes = calls.filter(isWrite);
  let before: readonly SystemCall[] = [];
  for (const { what, writes: planned } of plan.stages) {
    const due = new Bytes(planned);
    const made: SystemCall[] = [];
    while (!due.isEmpty) {
      const write = writes.shift();
      if (write === undefined) return [...short, `${what}: not all is written`];
      if (!due.take(rangeOf(write))) return [...short, `${what}: ${text(write)} is not its own`];
      made.push(write);
    }
    for (const a of before) {
      const late = made.find((b) => !isFlushedBetween(calls, a, b));
      if (late !== undefined) short.push(`${what}: no flush between ${text(a)} and ${text(late)}`);
    }
    before = made;
  }
  short.push(...writes.map((write) => `not planned: ${text(write)}`));
  const holes = new Bytes(plan.punch);
  const strays = calls.filter((call) => isHole(call) && !holes.take(rangeOf(call)));
  short.push(...strays.map((hole) => `not planned: ${text(hole)}`));
  return holes.isEmpty ? short : [...short, 'not every hole is made'];
}

/** Stretches of a file of which each byte is to be taken once. */
class Bytes {
  #left: readonly CallRange[];
  constructor(ranges: readonly CallRange[]) {
    const joined: { offset: number; length: number }[] = [];
    for (const { offset, length } of ranges.toSorted((a, b) => a.offset - b.offset)) {
      const last = joined.at(-1);
      if (last !== undefined && last.offset + last.length === offset) last.length += length;
      else joined.push({ offset, length });
    }
    this.#left = joined;
  }

  get isEmpty(): boolean {
    return this.#left.length === 0;
  }

  /** Whether all of it was there to be taken. */
  take({ offset, length }: CallRange): boolean {
    const end = offset + length;
    const from = this.#left.find((one) => one.offset <= offset && end <= one.offset + one.length);
    if (from === undefined) return false;
    const rest = [
      { offset: from.offset, length: offset - from.offset },
      { offset: end, length: from.offset + from.length - end },
    ].filter((one) => one.length > 0);
    this.#left = [...this.#left.filter((one) => one !== from), ...rest];
    return true;
  }
}
