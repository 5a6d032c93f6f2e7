import { isValidUtf8, printable, sameBytes, utf8Bytes, utf8Text } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { Snapshot, SnapshotDate } from '../../qcow2/snapshot-table.js';

/** What a new name may be. The defaults are qsnap's; a drop-in for qemu-img allows more. */
export interface NameRules {
  /** Allow a name that another snapshot has. */
  readonly allowDuplicateName?: boolean;
  /** Allow an empty name, control characters but 0, and bytes that are not UTF-8. */
  readonly anyName?: boolean;
}

/**
 * The bytes of a new name.
 *
 * @throws QsnapError NAME_INVALID, NAME_IN_USE.
 */
export function newName(
  name: string | Uint8Array,
  others: readonly Snapshot[],
  rules: NameRules,
): Uint8Array {
  if (!isText(name)) throw invalidName('is neither a text nor bytes', 'one of them');
  const bytes = typeof name === 'string' ? utf8Bytes(name) : name;
  const max = LIMITS.snapshotNameBytesMax.value;
  if (bytes.length > max) throw invalidName(`is ${bytes.length} bytes long`, `at most ${max}`);
  // Names are C strings to QEMU, and what holds a zero byte is taken for misread.
  if (bytes.includes(0)) throw invalidName('holds a zero byte', 'text');
  if (rules.anyName !== true) {
    if (bytes.length === 0) throw invalidName('is empty', `1 to ${max} bytes`);
    if (!isValidUtf8(bytes)) throw invalidName('is not valid UTF-8', 'valid UTF-8');
    if (hasControl(bytes)) throw invalidName('holds a control character', 'printable text');
  }
  const other = others.find((snapshot) => sameBytes(snapshot.nameBytes, bytes));
  if (other !== undefined && rules.allowDuplicateName !== true) {
    const id = printable(other.idBytes);
    throw new QsnapError('NAME_IN_USE', `snapshot ${id} is called "${printable(bytes)}" already`, {
      expected: 'a name that no other snapshot has',
      hint: 'choose another name, or rename the other snapshot first',
    });
  }
  return bytes;
}

/** A program without types may give anything. */
const isText = (name: unknown): boolean => typeof name === 'string' || name instanceof Uint8Array;

function invalidId(shown: string, max: number): QsnapError {
  return new QsnapError('ID_INVALID', `"${shown}" can't be the id of a snapshot`, {
    expected: `1 to ${max} bytes of printable text`,
  });
}

function invalidName(what: string, expected: string): QsnapError {
  return new QsnapError('NAME_INVALID', `the new name ${what}, and has to be ${expected}`, {
    expected,
  });
}

/** Control characters of C0 and C1: U+009B starts an escape sequence as ESC [ does. */
function hasControl(bytes: Uint8Array): boolean {
  return /\p{Cc}/u.test(utf8Text(bytes));
}

/**
 * The id of a new snapshot: as given, or one above the highest number that an id starts with.
 *
 * @throws QsnapError ID_INVALID, ID_IN_USE.
 * QEMU: the same rule, where ids that do not start with a digit count as 0.
 */
export function newId(id: string | undefined, others: readonly Snapshot[]): Uint8Array {
  const taken = new Set(others.map((snapshot) => snapshot.id));
  if (id === undefined) return utf8Bytes(nextId(others, taken));
  const max = LIMITS.snapshotIdBytesMax.value;
  if (typeof (id as unknown) !== 'string') throw invalidId(id, max);
  const bytes = utf8Bytes(id);
  if (bytes.length === 0 || bytes.length > max || hasControl(bytes)) {
    throw invalidId(printable(bytes), max);
  }
  if (taken.has(id)) {
    throw new QsnapError('ID_IN_USE', `a snapshot has the id "${printable(bytes)}" already`, {
      expected: 'an id that no other snapshot has',
    });
  }
  return bytes;
}

function nextId(others: readonly Snapshot[], taken: ReadonlySet<string>): string {
  const numbers = others.map(({ id }) => BigInt(/^[ \t-\r]*\+?(\d+)/.exec(id)?.[1] ?? 0));
  let next = numbers.reduce((max, number) => (number > max ? number : max), 0n) + 1n;
  // Past the highest number that an id has room for, the lowest free one has to do.
  if (String(next).length > LIMITS.snapshotIdBytesMax.value) next = 1n;
  while (taken.has(String(next))) next += 1n;
  return String(next);
}

/** @throws QsnapError DATE_INVALID when the entry has no room for the date. */
export function checkedDate(date: SnapshotDate): SnapshotDate {
  const { seconds, nanoseconds } = date;
  const sound =
    Number.isInteger(seconds) &&
    seconds >= 0 &&
    seconds < 2 ** 32 &&
    Number.isInteger(nanoseconds) &&
    nanoseconds >= 0 &&
    nanoseconds < 1e9;
  if (sound) return date;
  throw new QsnapError('DATE_INVALID', 'the date does not fit into a snapshot table entry', {
    expected: '1970-01-01T00:00:00Z to 2106-02-07T06:28:15.999999999Z',
    actual: `${seconds} seconds and ${nanoseconds} nanoseconds since 1970`,
  });
}
