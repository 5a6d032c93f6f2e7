/** What kind of thing went wrong; decides nothing but how a caller sorts it. */
export type ErrorKind = 'image' | 'request' | 'busy' | 'io' | 'internal';

/**
 * Every error code of the engine with its kind. The codes are API: they are never renamed.
 * docs/errors.md explains each one, and a test compares the two lists.
 *
 * ```ts
 * for (const [code, kind] of Object.entries(ERROR_CODES)) console.log(code, kind); // NO_SPACE io
 * ```
 *
 * Ours: docs/errors.md.
 */
export const ERROR_CODES = {
  NOT_QCOW2: 'image',
  QCOW_VERSION_1: 'image',
  UNSUPPORTED_VERSION: 'image',
  HEADER_INVALID: 'image',
  UNSUPPORTED_FEATURE: 'image',
  EXTENSION_INVALID: 'image',
  TABLE_INVALID: 'image',
  SNAPSHOT_TABLE_INVALID: 'image',
  BITMAPS_INVALID: 'image',
  IMAGE_TRUNCATED: 'image',
  IMAGE_DAMAGED: 'image',
  IMAGE_DIRTY: 'image',
  IMAGE_MARKED_CORRUPT: 'image',
  LIMIT_EXCEEDED: 'image',
  CLUSTER_DATA_INVALID: 'image',
  VM_STATE_INVALID: 'image',
  BACKING_LOOP: 'image',
  EXTERNAL_DATA_FILE: 'request',
  BITMAPS_PRESENT: 'request',
  BITMAPS_REFUSED: 'request',
  BITMAP_NOT_FOUND: 'request',
  BITMAP_INCONSISTENT: 'request',
  BITMAP_GRANULARITY_INVALID: 'request',
  BITMAP_SIZES_DIFFER: 'request',
  SIZE_DIFFERS_IN_V2: 'request',
  DOWNGRADE_REFUSED: 'request',
  SIZE_INVALID: 'request',
  SHRINK_NOT_ALLOWED: 'request',
  PRUNE_RULES_INVALID: 'request',
  PREALLOCATION_REFUSED: 'request',
  GROWTH_SHOWS_BACKING: 'request',
  SNAPSHOT_NOT_FOUND: 'request',
  VM_STATE_NOT_FOUND: 'request',
  SNAPSHOT_STALE: 'request',
  SNAPSHOT_AMBIGUOUS: 'request',
  NAME_INVALID: 'request',
  NAME_IN_USE: 'request',
  ID_INVALID: 'request',
  ID_IN_USE: 'request',
  DATE_INVALID: 'request',
  TOO_MANY_SNAPSHOTS: 'request',
  REFCOUNT_OVERFLOW: 'request',
  UNSAVED_CHANGES: 'request',
  NEW_IMAGE_INVALID: 'request',
  PLAN_STALE: 'request',
  UNDO_FILE_INVALID: 'request',
  GROUP_INVALID: 'request',
  GROUP_UNFINISHED: 'request',
  GROUP_CHANGED: 'request',
  GROUP_RECORD_INVALID: 'request',
  REPAIR_REFUSED: 'request',
  REPAIR_CHOICE_INVALID: 'request',
  RESCUE_CHOICE_INVALID: 'request',
  CANDIDATE_INVALID: 'request',
  PARTITION_NOT_FOUND: 'request',
  BACKING_REFUSED: 'request',
  DATA_FILE_REFUSED: 'request',
  ENCRYPTED: 'request',
  PASSPHRASE_WRONG: 'request',
  UNSUPPORTED_ENCRYPTION: 'request',
  UNSUPPORTED_COMPRESSION: 'request',
  ABORTED: 'request',
  CLOSED: 'request',
  READ_ONLY: 'request',
  RANGE_INVALID: 'request',
  OUTPUT_EXISTS: 'request',
  OUTPUT_IS_INPUT: 'request',
  IMAGE_IN_USE: 'busy',
  IMAGE_CHANGED: 'busy',
  OPEN_FAILED: 'io',
  NOT_A_FILE: 'io',
  READ_FAILED: 'io',
  WRITE_FAILED: 'io',
  NO_SPACE: 'io',
  VERIFY_FAILED: 'io',
  INTERNAL: 'internal',
} as const satisfies Record<string, ErrorKind>;

/** A code of the table above. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * In what state a failed edit left the image.
 * `unchanged`: nothing was written. `old`: new bytes may lie in free clusters, the content is the
 * old one. `old-or-new`: the switch was sent and not confirmed; either state is whole. `new-list`: a delete
 * in place has its new list and whole disks, but not all refcounts and COPIED flags. `new`: done.
 */
export type ImageState = 'unchanged' | 'old' | 'old-or-new' | 'new-list' | 'new';

/**
 * What is to be done, by a name that never changes. `hint` says it in words that hold for programs; a command line
 * says it with its own options.
 */
export type HintCode =
  | 'save-or-discard-changes'
  | 'list-snapshots'
  | 'replace-file'
  | 'remove-bitmaps'
  | 'make-version-3'
  | 'check-image'
  | 'check-before-edit'
  | 'give-up-perhaps-lost'
  | 'check-unopenable'
  | 'repair-mark'
  | 'allow-shrink'
  | 'map-disk'
  | 'resize-by-qemu'
  | 'resize-by-qemu-with-content'
  | 'convert-to-qcow2'
  | 'rescue-if-damaged'
  | 'rescue-by-cluster-size'
  | 'list-rescued'
  | 'take-guesses'
  | 'rescue-without-header'
  | 'recover-disk-alone'
  | 'name-repairs'
  | 'drop-snapshots'
  | 'drop-unread-snapshots'
  | 'drop-bitmaps'
  | 'empty-active-l1'
  | 'give-up-unreadable'
  | 'give-up-cut-off'
  | 'part-owners'
  | 'lower-refcounts'
  | 'finish-refcounts'
  | 'leaks-left'
  | 'free-leaks-first'
  | 'resume-group'
  | 'discard-in-resume'
  | 'list-group'
  | 'report-bug';

/** Where and what, for people and programs. All fields optional. */
export interface ErrorDetails {
  /** The structure by its field name, such as "active L1" or "snapshot table". */
  readonly structure?: string;
  /** Byte offset in the image file where the structure or the wrong value lies. */
  readonly at?: number;
  readonly expected?: string;
  readonly actual?: string;
  /** What to do about it, as one sentence without a full stop. */
  readonly hint?: string;
  /** The same for programs, where there is a name for it. */
  readonly hintCode?: HintCode;
  /** The state of the image after a failed edit. */
  readonly imageState?: ImageState;
  /** The states of the images of a group, by their files, where they differ. */
  readonly imageStates?: Readonly<Record<string, ImageState>>;
  /** The group edit that was cut and its images, for GROUP_UNFINISHED. */
  readonly unfinished?: {
    readonly operation: 'create' | 'apply' | 'delete';
    readonly files: readonly string[];
  };
  /** Bytes that were missing, for NO_SPACE. */
  readonly bytesNeeded?: number;
  /** The process that holds the image, for IMAGE_IN_USE, where the system tells. */
  readonly holder?: string;
  /** Texts of the candidates, for SNAPSHOT_AMBIGUOUS. */
  readonly candidates?: readonly string[];
  /** The incompatible features that are not known, for UNSUPPORTED_FEATURE. */
  readonly features?: readonly { readonly bit: number; readonly name: string | undefined }[];
  /** Position in the table, for SNAPSHOT_TABLE_INVALID and entries of L1 and L2 tables. */
  readonly entry?: number;
  /** Position of the action that was refused, for several changes of bitmaps. */
  readonly action?: number;
  /** Byte offset of the table that the entry is in, for entries of L1 and L2 tables. */
  readonly tableAt?: number;
  /** Of the snapshot whose disk or VM state it is, for VERIFY_FAILED of a copy and VM states; not there: the active disk. */
  readonly snapshotId?: string;
  /** Of the same snapshot, for VM states. */
  readonly snapshotName?: string;
  /** Byte offset on that disk; VM state is numbered as if the disk went on. */
  readonly guestAt?: number;
  /** The path or label of the file. */
  readonly file?: string;
  /** The operating system's error name, such as ENOENT. */
  readonly systemCode?: string;
}

const BRAND = Symbol.for('qsnap.error');

/**
 * The one error class of qsnap. `code` is for programs, `message` is one plain sentence.
 *
 * ```ts
 * try {
 *   await image.create('before upgrade');
 * } catch (error) {
 *   if (!isQsnapError(error)) throw error;
 *   console.error(error.code, error.message, error.details.hint, error.details.imageState);
 * }
 * ```
 *
 * Ours: docs/errors.md.
 */
export class QsnapError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly [BRAND] = true;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'QsnapError';
    this.code = code;
    this.details = details;
  }

  get kind(): ErrorKind {
    return ERROR_CODES[this.code];
  }

  /** The same error with more details; for layers that know more than the one that threw. */
  with(details: ErrorDetails): QsnapError {
    // Another hint has another name, or none.
    const { hintCode, ...unnamed } = this.details;
    const known = details.hint === undefined ? this.details : unnamed;
    const more = new QsnapError(this.code, this.message, { ...known, ...details });
    more.cause = this.cause;
    if (this.stack !== undefined) more.stack = this.stack;
    return more;
  }

  /** A plain object for JSON output: code, kind, message and details in kebab case. */
  toJSON(): Record<string, unknown> {
    const { code, kind, message } = this;
    const details: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(this.details)) details[kebab(key)] = value;
    return { code, kind, message, ...details };
  }
}

function kebab(camel: string): string {
  return camel.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * A brand, not `instanceof`: two copies of a package do meet in one process.
 *
 * ```ts
 * if (isQsnapError(error) && error.code === 'IMAGE_IN_USE') console.error(error.details.holder);
 * ```
 */
export function isQsnapError(value: unknown): value is QsnapError {
  return typeof value === 'object' && value !== null && BRAND in value;
}
