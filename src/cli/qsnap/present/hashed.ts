import type { HashedPiece, QsnapError, Snapshot } from '../../../index.js';
import type { HashAlgorithm } from '../../../node/index.js';

/** The hash of a disk, or why it has none. */
export interface DiskDigest {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly sizeBytes: number;
  /** Of its export. */
  readonly name: string;
  /** Undefined where only pieces were hashed, or the disk can't be read. */
  readonly digest: string | undefined;
  readonly error: QsnapError | undefined;
  /** Kept where the format tells them beside the disk. */
  readonly pieces: readonly HashedPiece[];
}

/** The hash of a VM state, or why it has none. */
export interface VmStateDigest {
  readonly snapshot: Snapshot;
  readonly name: string;
  readonly digest: string | undefined;
  readonly error: QsnapError | undefined;
}

/** What `hash` found. */
export interface HashManifest {
  readonly path: string;
  readonly algorithm: HashAlgorithm;
  readonly pieceBytes: number | undefined;
  readonly disks: readonly DiskDigest[];
  readonly vmStates: readonly VmStateDigest[];
}
