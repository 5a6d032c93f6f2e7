/** Holds the system calls of an edit to the order that the crash safety rests on. */
import type { CallRange, SystemCall } from './strace.js';
import { rangeOf } from './strace.js';

/** The writes of a plan, as `--dry-run --json` prints them. */
export interface PlannedWrites {
  readonly shadow: readonly CallRange[];
  readonly switch: CallRange;
  readonly punch: readonly CallRange[];
}

const SECTOR_BYTES = 512;
const FLUSHES: ReadonlySet<string> = new Set(['fdatasync', 'fsync']);
/** Writes whose place the calls tell. Any other way to write would go past these rules. */
const POSITIONED: ReadonlySet<string> = new Set(['pwrite64', 'pwritev', 'pwritev2']);

interface Stages {
  readonly writes: readonly SystemCall[];
  readonly switches: readonly SystemCall[];
  readonly flushes: readonly SystemCall[];
  readonly holes: readonly SystemCall[];
  readonly others: readonly SystemCall[];
}

function stagesOf(calls: readonly SystemCall[]): Stages {
  const writes = calls.filter(({ name }) => POSITIONED.has(name));
  const isHole = ({ name, args }: SystemCall): boolean =>
    name === 'fallocate' && args.includes('PUNCH_HOLE');
  return {
    writes: writes.filter((call) => rangeOf(call).offset >= SECTOR_BYTES),
    switches: writes.filter((call) => rangeOf(call).offset < SECTOR_BYTES),
    flushes: calls.filter(({ name }) => FLUSHES.has(name)),
    holes: calls.filter(isHole),
    others: calls.filter(
      (call) => !POSITIONED.has(call.name) && !FLUSHES.has(call.name) && !isHole(call),
    ),
  };
}

/** What an edit may do to its image besides shadow, switch and holes. */
export interface EditRules {
  /** Undoing puts bytes back after the switch, cuts the file, and flushes once more. */
  readonly restores?: boolean;
}

/** In what the calls on the image fall short of the rules, in words; nothing if in nothing. */
export function flushShortcomings(calls: readonly SystemCall[], rules: EditRules = {}): string[] {
  const { writes, switches, flushes, holes, others } = stagesOf(calls);
  const short: string[] = [];
  const failed = calls.filter(({ result }) => result < 0);
  if (failed.length > 0) short.push(`failed: ${failed.map(({ name }) => name).join(', ')}`);
  const [only, second] = switches;
  if (only === undefined || second !== undefined) {
    return [...short, `${switches.length} writes to the first sector`];
  }
  const { offset, length } = rangeOf(only);
  if (offset < 24 || offset + length > 96) short.push(`the switch is ${length} bytes at ${offset}`);
  const before = (a: SystemCall, b: SystemCall): boolean => a.over < b.began;
  const isBetween = (a: SystemCall, b: SystemCall): boolean =>
    flushes.some((flush) => before(a, flush) && before(flush, b));
  for (const write of writes) {
    if (before(write, only)) {
      if (!isBetween(write, only)) short.push(`no flush between ${write.args} and the switch`);
    } else if (rules.restores !== true) short.push(`${write.args} is not over before the switch`);
    else if (!isBetween(only, write)) short.push(`no flush between the switch and ${write.args}`);
  }
  for (const hole of holes) {
    if (!isBetween(only, hole)) short.push(`no flush between the switch and the hole ${hole.args}`);
  }
  for (const other of others) {
    const isCut = rules.restores === true && other.name === 'ftruncate';
    if (!isCut || !isBetween(only, other)) short.push(`${other.name}(${other.args})`);
  }
  const last = [...writes, only, ...others].reduce((a, b) => (a.over > b.over ? a : b));
  if (!flushes.some((flush) => before(last, flush))) short.push(`no flush after ${last.args}`);
  return short;
}

/** Neighbours joined, in order; a byte that is written twice stays to be seen as an overlap. */
function joined(ranges: readonly CallRange[]): CallRange[] {
  const found: { offset: number; length: number }[] = [];
  for (const { offset, length } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const last = found.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else found.push({ offset, length });
  }
  return found;
}

/** Where the calls write something else than was planned. */
export function planShortcomings(
  calls: readonly SystemCall[],
  plan: PlannedWrites,
  fileBytes: number,
): string[] {
  const { writes, switches, holes } = stagesOf(calls);
  const short: string[] = [];
  const compare = (what: string, made: readonly CallRange[], planned: readonly CallRange[]) => {
    const [a, b] = [JSON.stringify(joined(made)), JSON.stringify(joined(planned))];
    if (a !== b) short.push(`${what}: made ${a}, planned ${b}`);
  };
  compare('new tables', writes.map(rangeOf), plan.shadow);
  compare('switch', switches.map(rangeOf), [plan.switch]);
  const inside = plan.punch
    .map(({ offset, length }) => ({ offset, length: Math.min(length, fileBytes - offset) }))
    .filter(({ length }) => length > 0);
  compare('holes', holes.map(rangeOf), inside);
  return short;
}
