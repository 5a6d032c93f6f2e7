import type { NewBacking } from '../edit/header/plan-backing.js';
import { COMPRESSION_TYPES } from '../qcow2/header.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { CheckOptions } from '../read/check/report.js';
import type {
  ApplyingOptions,
  ApplyingTogether,
  CreatingTogether,
  DeletingOptions,
  DiskDiffOptions,
  DiskExtentOptions,
  DiskOptions,
  EditOptions,
  NewSnapshotOptions,
  OpenQcowOptions,
  ProgressOptions,
  RepairingOptions,
  ResizingOptions,
  ResumingOptions,
  ScrubbingOptions,
  SnapshotChoice,
  StreamOptions,
  StrippingOptions,
  TrimmingOptions,
  WorkOptions,
} from './options.js';

/** What values an option takes. `undefined` is taken always: the option is as good as not there. */
export interface OptionKind {
  /** The values in words, after "is". */
  readonly what: string;
  readonly takes: (value: unknown) => boolean;
}

/** The kinds of all options: one that is missing here does not compile. */
export type KnownOptions<Options> = Readonly<Record<keyof Options, OptionKind>>;

const ofType = (type: 'boolean' | 'string' | 'number' | 'function', what: string): OptionKind => ({
  what,
  takes: (value) => typeof value === type,
});

/** One of some words. */
const wordOf = (words: readonly string[]): OptionKind => ({
  what: words.map((word) => `"${word}"`).join(', '),
  takes: (value) => words.some((word) => word === value),
});

/** An object with these methods. */
const withMethods = (what: string, ...names: readonly string[]): OptionKind => ({
  what,
  takes: (value) => {
    const methods = Object(value) as Readonly<Record<string, unknown>>;
    return names.every((name) => typeof methods[name] === 'function');
  },
});

export const FLAG = ofType('boolean', 'true or false');
/** What number it may be says whoever takes it. */
export const NUMBER = ofType('number', 'a number');
export const OBJECT: OptionKind = {
  what: 'an object or "none"',
  takes: (value) => typeof value === 'object' && value !== null,
};
const TEXT = ofType('string', 'a text');
/** Infinity is as good as any number that is large enough. */
const COUNT: OptionKind = {
  what: 'a whole number from 0 on',
  takes: (value) => value === Infinity || (Number.isInteger(value) && Number(value) >= 0),
};
const DATE: OptionKind = {
  what: 'a Date, or seconds and nanoseconds',
  takes: (value) => {
    if (value instanceof Date) return true;
    const { seconds, nanoseconds } = Object(value) as Readonly<Record<string, unknown>>;
    return typeof seconds === 'number' && typeof nanoseconds === 'number';
  },
};
export const BYTES_OR_TEXT: OptionKind = {
  what: 'a text or a Uint8Array',
  takes: (value) => typeof value === 'string' || value instanceof Uint8Array,
};
const CHOICES: OptionKind = {
  what: 'a list of snapshots',
  takes: (value) => Array.isArray(value) && value.every(isChoice),
};
export const LIST: OptionKind = { what: 'a list', takes: (value) => Array.isArray(value) };
export const PIECE: OptionKind = {
  what: 'an object of `at` and `bytes`, or `at` and `zeroBytes`',
  takes: (value) => {
    const { at, bytes, zeroBytes } = Object(value) as Readonly<Record<string, unknown>>;
    const isContent = bytes instanceof Uint8Array || typeof zeroBytes === 'number';
    return typeof at === 'number' && isContent;
  },
};
const SIGNAL: OptionKind = {
  what: 'an AbortSignal',
  takes: (value) => typeof (Object(value) as Partial<AbortSignal>).aborted === 'boolean',
};

export const WORK: KnownOptions<WorkOptions> = { signal: SIGNAL };
export const PROGRESS: KnownOptions<ProgressOptions> = {
  ...WORK,
  onProgress: ofType('function', 'a function'),
};
export const EDIT: KnownOptions<EditOptions> = { ...PROGRESS, verify: FLAG };
export const CREATE: KnownOptions<NewSnapshotOptions & EditOptions> = {
  ...EDIT,
  date: DATE,
  id: TEXT,
};
export const APPLY: KnownOptions<ApplyingOptions & EditOptions> = {
  ...EDIT,
  discardChanges: FLAG,
  saveAs: TEXT,
};
export const BACKING: KnownOptions<NewBacking> = { name: BYTES_OR_TEXT, format: TEXT };
export const DELETE: KnownOptions<DeletingOptions & EditOptions> = { ...EDIT, inPlace: FLAG };
export const CREATE_TOGETHER: KnownOptions<CreatingTogether & EditOptions> = {
  ...EDIT,
  date: DATE,
};
export const APPLY_TOGETHER: KnownOptions<ApplyingTogether & EditOptions> = {
  ...APPLY,
  date: DATE,
};
export const RESUME: KnownOptions<ResumingOptions & EditOptions> = {
  ...EDIT,
  operation: wordOf(['create', 'apply', 'delete']),
  discardChanges: FLAG,
};
export const RESIZE: KnownOptions<ResizingOptions & EditOptions> = {
  ...EDIT,
  shrink: FLAG,
  preallocation: wordOf(['off', 'metadata', 'falloc', 'full']),
};
export const STRIP: KnownOptions<StrippingOptions & EditOptions> = {
  ...EDIT,
  snapshots: CHOICES,
  whole: FLAG,
  passphrase: BYTES_OR_TEXT,
};
export const TRIM: KnownOptions<TrimmingOptions & EditOptions> = { ...EDIT, relocate: FLAG };
export const SCRUB: KnownOptions<ScrubbingOptions & EditOptions> = { ...EDIT, punch: FLAG };
export const REPAIR: KnownOptions<RepairingOptions & EditOptions> = {
  ...EDIT,
  dropSnapshots: CHOICES,
  dropUnreadSnapshots: FLAG,
  emptyL1s: CHOICES,
  dropBitmaps: FLAG,
  punch: FLAG,
};
export const CHECK: KnownOptions<CheckOptions> = {
  ...PROGRESS,
  maxFindings: COUNT,
  owners: FLAG,
  lookBytes: COUNT,
};
export const DISK: KnownOptions<DiskOptions> = { passphrase: BYTES_OR_TEXT, backing: FLAG };
export const WRITE: KnownOptions<DiskOptions & EditOptions> = { ...EDIT, ...DISK };
export const DIFF: KnownOptions<DiskDiffOptions> = { ...PROGRESS, ...DISK, content: FLAG };
const RANGE = { at: NUMBER, length: NUMBER } as const;
export const STREAM: KnownOptions<StreamOptions> = { ...PROGRESS, ...RANGE, chunkBytes: NUMBER };
export const EXTENTS: KnownOptions<DiskExtentOptions> = {
  ...WORK,
  ...RANGE,
  layers: wordOf(['joined', 'apart', 'own']),
};
export const OPEN: KnownOptions<OpenQcowOptions> = {
  decompressor: withMethods('a decompressor', 'decompress'),
  cryptography: withMethods('a cryptography', 'digest', 'pbkdf2', 'sectorCipher'),
  gate: withMethods('a gate', 'openBacking', 'openDataFile'),
};
export const FORMAT = wordOf(['raw', 'qcow2']);
export const COMPRESSION = wordOf(COMPRESSION_TYPES);

/**
 * Refuses what is no option, and a value that an option does not take. A program without types may have mistyped it,
 * and would get another edit than it means.
 *
 * @throws TypeError.
 */
export function refuseWrong(options: unknown, known: Readonly<Record<string, OptionKind>>): void {
  const listed = Object.keys(known).join(', ');
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`options are an object with ${listed}, and this is ${shown(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) {
      throw new TypeError(`there is no option "${name}" here; there are ${listed}`);
    }
    if (value !== undefined && !kind.takes(value)) {
      throw new TypeError(`the option "${name}" is ${kind.what}, not ${shown(value)}`);
    }
  }
}

/**
 * Refuses what chooses no snapshot.
 *
 * @throws TypeError.
 */
export function refuseNoChoice(...choices: readonly unknown[]): void {
  const wrong = choices.findIndex((choice) => !isChoice(choice));
  if (wrong === -1) return;
  const found = shown(choices[wrong]);
  throw new TypeError(`a snapshot is a text such as "id:3", or one of \`snapshots\`, not ${found}`);
}

/**
 * Refuses an argument that a method can't take.
 *
 * @throws TypeError.
 */
export function refuseArgument(name: string, value: unknown, { what, takes }: OptionKind): void {
  if (!takes(value)) throw new TypeError(`the ${name} is ${what}, not ${shown(value)}`);
}

/** The same of a name. */
export function refuseNoName(name: unknown): void {
  refuseArgument('name', name, TEXT);
}

function isChoice(value: unknown): value is SnapshotChoice {
  return typeof value === 'string' || isSnapshot(value);
}

/** Options have no bytes of an id. */
export function isSnapshot(value: unknown): value is Snapshot {
  return typeof value === 'object' && value !== null && 'idBytes' in value;
}

/** What a wrong value is: short ones as they are. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `the text "${value.slice(0, 40)}"`;
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'a list' : 'an object';
  }
  return typeof value === 'function' ? 'a function' : String(value);
}
