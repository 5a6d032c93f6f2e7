import type { NewForkableHasher } from '../../base/hasher.js';
import type { QsnapError } from '../../errors.js';
import type { Stoppable } from '../../io/stoppable.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { GuestDisk } from '../guest/disk.js';

/** A disk of the image, opened. */
export interface HashedDisk {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly disk: GuestDisk;
}

/** The hash of a piece of a disk. */
export interface HashedPiece {
  /** Position in the list of disks. */
  readonly disk: number;
  /** Guest offset in bytes. */
  readonly at: number;
  readonly length: number;
  /** Lower-case hex. */
  readonly digest: string;
}

/** What is hashed, and how. */
export interface HashDisksOptions extends Stoppable {
  readonly newHasher: NewForkableHasher;
  /** Whether disks are hashed as wholes; default: yes. */
  readonly whole?: boolean | undefined;
  /** Hash pieces of so many bytes, a power of two of at least 512; the last one of a disk may be shorter. */
  readonly pieceBytes?: number | undefined;
  /** Is told every piece, by ascending offset. */
  readonly onPiece?: ((piece: HashedPiece) => void) | undefined;
  /** Guest bytes that are done, and of the longest disk. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/** The hash of a disk as if it were a raw file, or why it has none. */
export interface DiskHash {
  /** Undefined where disks are not hashed as wholes, or this one can't be read. */
  readonly digest: string | undefined;
  readonly error: QsnapError | undefined;
}
