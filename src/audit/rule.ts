import type { CheckReport } from '../read/check/report.js';
import type { QsnapError } from '../errors.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import type { MappedVmState } from '../refs/vm-state.js';
import type { LuksHeader } from '../qcow2/luks.js';
import type { NamedRegex, RemainsPlace, SecretsLeft } from './secrets/secret.js';

/** How grave it is when a rule is broken. `error` fails a gate. */
export type Level = 'error' | 'warning' | 'note';

/**
 * What a rule looks at besides the header, its extensions and the snapshot table, which take a few reads:
 *
 * - `check`: a whole check, which reads all tables and no guest data;
 * - `vm-state`: what L1 tables map behind guest data, and the L2 tables there;
 * - `zero-clusters`: the L2 tables of the active disk;
 * - `remains`: the bytes of the file that nothing refers to;
 * - `secrets`: what in these looks like a secret;
 * - `guest-ends`: the first and the last bytes of the active disk;
 * - `chain`: the files below the image, where they may be opened.
 */
export type Need =
  'check' | 'vm-state' | 'zero-clusters' | 'remains' | 'secrets' | 'guest-ends' | 'chain';

/** What a rule may be told, by the name of the option. Sizes are bytes and ages are seconds here. */
export type OptionValue = number | readonly string[] | readonly NamedRegex[];

/** Values of the options of a rule. */
export type OptionValues = Readonly<Record<string, OptionValue | undefined>>;

/** An option of a rule: what a policy writes for it. */
export interface OptionSpec {
  /** `count`: a whole number. `bytes`: 10G. `age`: 30d. `patterns` and `words`: lists of texts. `regexes`: with names. */
  readonly kind: 'count' | 'bytes' | 'age' | 'patterns' | 'words' | 'regexes';
  /** What it means: a sentence without a full stop. */
  readonly about: string;
  /** Of `words`: what may be said. */
  readonly words?: readonly string[];
  /** Undefined: nothing is asked for, and the rule says nothing about it. */
  readonly default?: OptionValue;
}

/** Ranges of a file with bytes that nothing refers to. */
export interface Remains {
  readonly where: RemainsPlace;
  /** Byte offset of the first sector, or part of one, that is not all zero. */
  readonly at: number;
  /** Bytes in clusters or sectors that are not all zero. */
  readonly bytes: number;
}

/** The parts of a disk that partition tables lie in. */
export interface GuestEnds {
  readonly diskBytes: number;
  /** From the start of the disk, as much as a table takes. */
  readonly first: Uint8Array;
  /** Up to the end of the disk. */
  readonly last: Uint8Array;
}

/** A file of a backing chain that was opened. */
export interface ChainLayer {
  /** As the layer above names it. */
  readonly name: string;
  /** The format that the layer above records. */
  readonly recorded: string | undefined;
  /** Whether the file has the magic number of qcow2. */
  readonly beginsAsQcow2: boolean;
}

/** The files below an image, from its own backing file down. */
export interface BackingChain {
  /** As far as the files could be opened, be it that the last one is no image. */
  readonly layers: readonly ChainLayer[];
  /** Why the chain could not be followed to its end, and at which file: 1 is the image's own backing file. */
  readonly problem: { readonly layer: number; readonly reason: QsnapError } | undefined;
}

/** What rules look at. */
export interface AuditFacts {
  readonly image: ReadableImage;
  /** Bytes that the file takes on the host; undefined where nobody knows. */
  readonly allocatedBytes: number | undefined;
  /** The LUKS header; undefined where there is none. */
  readonly luks: LuksHeader | undefined;
  /** Why the LUKS header can't be read. */
  readonly luksProblem: QsnapError | undefined;
  /** Seconds since the Epoch. */
  readonly now: number;
  /** Where a rule needs it. */
  readonly check: CheckReport | undefined;
  /** Where a rule needs it and tables can be read. */
  readonly vmState: readonly MappedVmState[] | undefined;
  /** Entries of the active disk that read as zeros by their flag; where a rule needs it and tables can be read. */
  readonly zeroClusters: number | undefined;
  /** Where a rule needs it and it can be read. */
  readonly guestEnds: GuestEnds | undefined;
  /** Where a rule needs it. */
  readonly remains: readonly Remains[] | undefined;
  /** Where a rule needs it. */
  readonly secrets: readonly SecretsLeft[] | undefined;
  /** Where a rule needs it and the files may be opened. */
  readonly chain: BackingChain | undefined;
  /** Whether a text is like a pattern. */
  readonly matches: (text: string, pattern: string) => boolean;
}

/** A place where an image breaks a rule. */
export interface Violation {
  /** What is so: one sentence without a full stop. */
  readonly message: string;
  /** Byte offset in the image of what says so; undefined where that is no one place. */
  readonly at?: number | undefined;
  /** Bytes from there. */
  readonly length?: number | undefined;
  /** For programs: what was found, and what the policy wants. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
}

/** A rule that an image keeps or breaks. Ids are API: never used again for something else. */
export interface Rule {
  /** Such as "QS1001". */
  readonly id: string;
  /** Its name in policies, such as "snapshots". */
  readonly name: string;
  /** What an image must be to keep it: a sentence without a full stop. */
  readonly title: string;
  /** Why one may want it. */
  readonly reason: string;
  readonly needs: readonly Need[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Options of which one has to be given: without them the rule asks for nothing. */
  readonly idleWithout?: readonly string[];
  /** Where the image breaks it. */
  readonly judge: (facts: AuditFacts, options: OptionValues) => readonly Violation[];
}
