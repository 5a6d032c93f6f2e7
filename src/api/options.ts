import type { SnapshotDate, Snapshot } from '../qcow2/snapshot-table.js';
import type { ChosenFinding } from '../edit/repair/choice.js';
import type { Preallocation } from '../edit/resize/growth.js';
import type { Cryptography, Decompressor } from '../read/guest/platform.js';
import type { Gate } from '../read/guest/gate.js';
import type { FindingCode } from '../read/check/catalog.js';
import type { RepairClass } from '../read/check/finding-parts.js';
import type { ExtentOptions } from '../read/guest/disk.js';

/** What long work tells of itself now and then. */
export interface Progress {
  /** What is done at the moment. */
  readonly phase: 'planning' | 'writing' | 'checking' | 'reading' | 'measuring';
  /** In bytes while writing and reading; else a share from 0 to 1. */
  readonly done: number;
  /** In bytes while writing and reading; else 1. */
  readonly total: number;
}

/** What long work takes. */
export interface WorkOptions {
  /** Ends the work with ABORTED. An edit whose switch is sent is finished first. */
  readonly signal?: AbortSignal | undefined;
}

/** The same, of work that tells how it goes on. */
export interface ProgressOptions extends WorkOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** What every edit takes. */
export interface EditOptions extends ProgressOptions {
  /**
   * Reads back all that was written, and checks the new state before the image becomes it: the edit ends
   * in the old state with VERIFY_FAILED where that has a flaw more than the old one. Takes two checks.
   */
  readonly verify?: boolean | undefined;
}

/** What is asked of a new snapshot besides its name. */
export interface NewSnapshotOptions {
  /** Default: now. */
  readonly date?: Date | SnapshotDate | undefined;
  /** Default: one above the highest number in use, as QEMU chooses. */
  readonly id?: string | undefined;
}

/** What becomes of the active disk when a snapshot is applied. */
export interface ApplyingOptions {
  /** Give up what the active disk holds and no snapshot does. */
  readonly discardChanges?: boolean | undefined;
  /** Keep the active disk as a new snapshot with this name, in the same edit. */
  readonly saveAs?: string | undefined;
}

/** How snapshots are deleted. */
export interface DeletingOptions {
  /**
   * Use the room of what is deleted, for a disk without any: a cut may then leave refcounts that are too
   * high, which a repair mends. docs/crash-safety.md, Deleting in place.
   */
  readonly inPlace?: boolean | undefined;
}

/** What is asked of a new snapshot on all images of a group. Each image gives it an id of its own. */
export type CreatingTogether = Pick<NewSnapshotOptions, 'date'>;

/** What becomes of the active disks when snapshots are applied to all images of a group. */
export interface ApplyingTogether extends ApplyingOptions {
  /** Of what `saveAs` keeps. Default: now. */
  readonly date?: Date | SnapshotDate | undefined;
}

/** How a group edit that was cut is brought to its end. */
export interface ResumingOptions {
  /** Refuse an edit of another kind. Default: whatever was cut. */
  readonly operation?: 'create' | 'apply' | 'delete' | undefined;
  /**
   * Of an apply: give up what active disks hold and no snapshot holds. Default: false, whatever the edit was told that
   * was cut.
   */
  readonly discardChanges?: boolean | undefined;
}

/** How the active disk gets another size. */
export interface ResizingOptions {
  /** Allow a smaller size: what lies past the new end is lost but to snapshots. */
  readonly shrink?: boolean | undefined;
  /** Default: "off". */
  readonly preallocation?: Preallocation | undefined;
}

/** Which VM state is taken out. */
export interface StrippingOptions {
  /** Of which snapshots; default: all, and the active disk. */
  readonly snapshots?: readonly SnapshotChoice[] | undefined;
  /** All of it, so that QEMU loads none of it any more. Default: what no snapshot entry tells of. */
  readonly whole?: boolean | undefined;
  /** For an encrypted image, whose VM state has to be read to its end. */
  readonly passphrase?: string | Uint8Array | undefined;
}

/** How an image is trimmed. */
export interface TrimmingOptions {
  /** Move what lies at the end of the file into free clusters in front, so that the file gets shorter. */
  readonly relocate?: boolean | undefined;
}

/** How an image is scrubbed. */
export interface ScrubbingOptions {
  /** Give free clusters and the tail back to the host, where it takes them. */
  readonly punch?: boolean | undefined;
}

/**
 * One snapshot: an entry of `snapshots`, or a text as the command line takes it: `id:3`, `name:golden`,
 * `#2` for a position in the table from `#0`, or a bare id or name that only one snapshot has.
 */
export type SnapshotChoice = string | Snapshot;

/**
 * What is to be repaired: a class, all findings of a code, or the one at a byte offset in the file, as
 * `CLUSTER_LEAKED@0x50008` or as it is in the report of a check. Every repair moves tables: an offset is of the last
 * check.
 */
export type RepairTarget = RepairClass | FindingCode | `${FindingCode}@${string}` | ChosenFinding;

/** What a repair gives up by name, besides what it mends. */
export interface RepairingOptions {
  /** Snapshots to drop. A repair drops no others. */
  readonly dropSnapshots?: readonly SnapshotChoice[] | undefined;
  /** Drop the snapshots behind the first table entry that can't be read, and it. */
  readonly dropUnreadSnapshots?: boolean | undefined;
  /** Whose L1 table becomes empty, and reads as zeros: snapshots, or the active disk as `active`. */
  readonly emptyL1s?: readonly SnapshotChoice[] | undefined;
  /** Give up all persistent bitmaps: the next backup has to be a full one. */
  readonly dropBitmaps?: boolean | undefined;
  /** Give what is freed back to the host. Else the bytes stay in the file, where an undo finds them. */
  readonly punch?: boolean | undefined;
}

/** What a disk is opened with. */
export interface DiskOptions {
  /** Of an encrypted image. A text stands for its bytes in UTF-8. */
  readonly passphrase?: string | Uint8Array | undefined;
  /** Open the files that the image names: its backing and data files. Only for images that you trust. */
  readonly backing?: boolean | undefined;
}

/** What a stretch of a disk becomes: other bytes, or zeros that no cluster is kept for. In guest bytes. */
export type DiskPiece =
  | { readonly at: number; readonly bytes: Uint8Array }
  | { readonly at: number; readonly zeroBytes: number };

/** What a diff of two disks takes. */
export interface DiskDiffOptions extends DiskOptions, ProgressOptions {
  /**
   * Compare bytes where clusters differ: ranges that are equal are `same-content`. Default: guest data is not read, and
   * the options of a disk are not needed.
   */
  readonly content?: boolean | undefined;
}

/** A part of a disk, in guest bytes. */
export interface DiskRange {
  /** Default: 0. */
  readonly at?: number | undefined;
  /** Default: up to the end of the disk. What lies past that is left out. */
  readonly length?: number | undefined;
}

/** What a stream of a disk takes. */
export interface StreamOptions extends DiskRange, ProgressOptions {
  /** The longest chunk in bytes; default: 1 MiB. */
  readonly chunkBytes?: number | undefined;
}

/** What the extents of a disk are told with. */
export interface DiskExtentOptions extends DiskRange, WorkOptions, ExtentOptions {}

/** What the surroundings give: `qsnap/node` has all of it, `qsnap/web` all but the gate. */
export interface OpenQcowOptions {
  /** Unpacks compressed clusters. */
  readonly decompressor?: Decompressor | undefined;
  /** Decrypts encrypted images. */
  readonly cryptography?: Cryptography | undefined;
  /** Opens backing and data files, of disks that are opened with `backing` alone. */
  readonly gate?: Gate | undefined;
}
