/**
 * Where qsnap-img differs from qemu-img 7.2, and means to. docs/parity.md explains each one under
 * the same name; a test compares the two lists.
 */
import type { Pair } from './parity.js';

export interface Difference {
  /** How it shows in what both tools printed and how they ended. */
  readonly shows: (pair: Pair) => boolean;
}

const ourSentence = (text: string) => ({
  shows: ({ ours }: Pair) => ours.code !== 0 && ours.stderr.includes(text),
});
const theirSentence = (text: string) => ({
  shows: ({ qemu, ours }: Pair) =>
    qemu.code === 1 && qemu.stderr.includes(text) && !ours.stderr.includes(text),
});

const sameLines = (one: string, other: string): boolean =>
  one.split('\n').sort().join('\n') === other.split('\n').sort().join('\n');

/** Seen in a single run of one command. */
export const DIFFERENCES = {
  'no-key-needed': theirSentence("Parameter 'encrypt.key-secret' is required for cipher"),
  'backing-never-opened': theirSentence('Could not open backing file'),
  'data-file-never-opened': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === 0 && /: Could not open 'guest\.data': /.test(qemu.stderr),
  },
  'other-formats': ourSentence("the image format '"),
  'other-protocols': ourSentence("the protocol '"),
  'bench-writes': ourSentence('-w is not supported, as it writes over'),
  'amend-shrinks': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 && ours.code === 1 && ours.stderr.includes('it would lose what lies behind'),
  },
  'amend-options': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 && /another width of refcounts/.test(ours.stderr),
  },
  'amend-nameless': ourSentence('without a name of its data file'),
  'amend-bitmaps': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 && ours.stderr.includes('version 2 has no place for'),
  },
  'other-image-options': ourSentence('is not supported in --image-opts'),
  'other-objects': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.stderr.includes('invalid object type') && ours.stderr.includes('does not accept value'),
  },
  'secrets-not-read': theirSentence('Unable to read'),
  'trace-ignored': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === qemu.code && ours.stderr.includes('tracing is not supported'),
  },
  'own-help': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 && ours.code === 0 && /^Usage:\n|\(qsnap /.test(ours.stdout),
  },
  'dirty-refused': ourSentence('was not closed properly'),
  'no-repair-on-open': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === qemu.code &&
      /^(Leaked cluster|ERROR cluster)/.test(qemu.stderr) &&
      !/^(Leaked cluster|ERROR cluster)/.test(ours.stderr),
  },
  'damage-refused': ourSentence('the image is damaged'),
  'table-past-the-end': ourSentence('but the file ends at'),
  'bitmaps-bit-alone': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === 0 && qemu.code === 1 && qemu.stderr.includes('overlaps with bitmap directory'),
  },
  'header-length-odd': ourSentence('header_length is'),
  'huge-numbers': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === 1 &&
      (ours.stderr.includes('more than qsnap handles') || qemu.stderr.includes('File too large')),
  },
  'table-out-of-range': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 && ours.stderr.includes('table offset invalid'),
  },
  'own-words': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 1 &&
      ours.code === 1 &&
      /bitmaps_ext|CRYPTO header|[Bb]itmap(?!s during inactivation)/.test(qemu.stderr),
  },
  'short-header': {
    shows: ({ qemu, ours }: Pair) =>
      ours.stderr.includes('qcow2 header too short') && qemu.stderr !== ours.stderr,
  },
  'apply-at-full-count': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === 0 && qemu.stderr.includes('Failed to load snapshot: Invalid argument'),
  },
  'backing-content-needed': ourSentence('the disk ends inside a cluster whose rest would show'),
  'bitmap-too-long': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 &&
      qemu.stderr.includes('Lost persistent bitmaps') &&
      ours.stderr.includes('the bitmap takes'),
  },
  'data-file-not-written': ourSentence('where nothing is written'),
  'data-file-not-resized': ourSentence('which would have to be resized with it'),
  'check-line-order': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === ours.code && qemu.stdout === ours.stdout && sameLines(qemu.stderr, ours.stderr),
  },
  'repair-own-way': {
    shows: ({ qemu, ours }: Pair) =>
      ours.stdout + ours.stderr !== '' &&
      (/^Repairing |^Rebuilding |need to rebuild|Marking image as corrupt/m.test(qemu.stderr) ||
        /-fixed"/.test(ours.stdout)),
  },
  'ciphers-not-made': {
    shows: ({ ours }: Pair) => /encryption by \S+ in \S+ mode is not made here/.test(ours.stderr),
  },
  'spare-key-slot': ourSentence('is not overwritten while all the others are in use'),
  'file-hints-ignored': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === qemu.code && ours.stderr.includes('to the file system is not supported'),
  },
  'measure-usage': {
    shows: ({ qemu, ours }: Pair) =>
      /^measure: /.test(qemu.stderr) && qemu.code === 0 && ours.code === 1,
  },
  'other-output-formats': ourSentence("the output format '"),
  'bitmaps-beside': ourSentence('--bitmaps does not go with an external data file here'),
  'bitmaps-of-snapshot': ourSentence('--bitmaps would copy those of the disk as it is now'),
  'packed-into-held': ourSentence('-c with -n is for an empty image'),
  'packed-beside': ourSentence('-c has no place in an external data file'),
  'own-data-file': ourSentence('the image and its data file would be the same file'),
  'packed-end': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.stderr.includes('error while writing at byte') && qemu.code === 1 && ours.code === 0,
  },
  'zero-with-backing': {
    shows: ({ qemu, ours }: Pair) =>
      ours.stderr.includes('Cannot use --target-is-zero') && qemu.code === 0 && ours.code === 1,
  },
  'input-never-overwritten': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.code === 0 && ours.code === 1 && ours.stderr.includes('Failed to get "write" lock'),
  },
  'devices-refused': ourSentence("'file' driver requires"),
  'no-bitmap-of-nothing': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.stderr.includes('Lost persistent bitmaps') && ours.stderr.includes("can't have bitmaps"),
  },
  'two-meanings-refused': ourSentence(': say snapshot.id='),
  'two-meanings-warned': {
    shows: ({ qemu, ours }: Pair) =>
      qemu.stderr === '' && /^\S+: warning: '.*' is the id of snapshot /.test(ours.stderr),
  },
  'apply-by-keys': {
    shows: ({ qemu, ours }: Pair) =>
      ours.code === 0 && qemu.stderr.startsWith("qemu-img: Could not apply snapshot 'snapshot."),
  },
} as const satisfies Record<string, Difference>;

/** Seen only on disk, after a command that both did alike. */
export const ON_DISK_DIFFERENCES = ['old-entries-completed', 'stale-bitmaps-kept'] as const;

/** Not to be had from two runs side by side; each has a test of its own or a reason in the text. */
export const OTHER_DIFFERENCES = [
  'amend-keeps-snapshots',
  'bench-empty-disk',
  'bitmap-all-or-nothing',
  'bitmaps-before-the-disk',
  'create-keeps-file',
  'direct-limits',
  'kept-data-file-zeros',
  'left-tables-hidden',
  'luks-header-missing',
  'preallocation-kept',
  'snapshot-own-size',
  'packed-over-backing',
  'vm-state-not-resized',
  'terminal-escapes',
  'paths-are-utf8',
  'lock-warning',
  'posix-time-zones',
] as const;

/** The names of all differences, sorted. */
export function differenceNames(): string[] {
  return [...Object.keys(DIFFERENCES), ...ON_DISK_DIFFERENCES, ...OTHER_DIFFERENCES].sort();
}

export type DifferenceName = keyof typeof DIFFERENCES;

/** The differences that a pair shows; none when both are equal. */
export function differencesOf(pair: Pair): DifferenceName[] {
  const { qemu, ours } = pair;
  const isEqual =
    qemu.code === ours.code && qemu.stdout === ours.stdout && qemu.stderr === ours.stderr;
  if (isEqual) return [];
  const names = Object.keys(DIFFERENCES) as DifferenceName[];
  return names.filter((name) => DIFFERENCES[name].shows(pair));
}
