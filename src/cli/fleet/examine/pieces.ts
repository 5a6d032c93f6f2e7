/** How the content of large disks is hashed. Plain values, so that a thread can be told. */
export interface HashLimits {
  /** A disk of up to so many bytes is hashed in one. */
  readonly wholeBytes: number;
  /** A larger one is cut into pieces of so many bytes; the last may be shorter. */
  readonly pieceBytes: number;
  /** Pieces that one job reads. */
  readonly piecesPerJob: number;
}

/** The first two are what a hash means: with others it is another one. */
export const HASH_LIMITS: HashLimits = {
  wholeBytes: 64 * 2 ** 30,
  pieceBytes: 2 ** 30,
  piecesPerJob: 32,
};

/** Pieces of a disk, one after the other. */
export interface PieceRange {
  /** The disk, as in `qsnap.disks`. */
  readonly position: number;
  readonly firstPiece: number;
  readonly pieces: number;
}

/** What has to be read before an image can be told whole. */
export interface HashPlan {
  /** The version of the image that was looked at, as every host tells it. */
  readonly version: string;
  readonly ranges: readonly PieceRange[];
}

/** A range that was read. */
export interface HashedRange extends PieceRange {
  /** The SHA-256 of each piece in hex, one after the other; empty: the disk can't be read. */
  readonly digests: string;
}

/** A plan that was carried out. */
export interface ReadyDigests {
  readonly version: string;
  readonly ranges: readonly HashedRange[];
}
