/** What a reading of an image gives for the catalogue: plain values, which threads and jobs can pass on. */
import type { HashPlan } from './pieces.js';

/** A row of `qsnap.disks`. Sizes are in bytes; undefined: not measured. */
export interface DiskRecord {
  /** 0: the active disk; i + 1: the snapshot at position i of the snapshot table. */
  readonly position: number;
  readonly snapshotId: string | undefined;
  readonly name: string | undefined;
  /** Seconds since the Epoch. */
  readonly takenAt: number | undefined;
  readonly takenNanoseconds: number | undefined;
  readonly virtualBytes: number;
  readonly vmStateBytes: number | undefined;
  readonly mappedBytes: number | undefined;
  readonly exclusiveBytes: number | undefined;
  readonly sharedBytes: number | undefined;
  readonly freedBytes: number | undefined;
  readonly l1Bytes: number;
  readonly entryBytes: number | undefined;
  readonly parentPosition: number | undefined;
  readonly certainty: string | undefined;
  readonly contentSha256: string | undefined;
}

/** A row of `qsnap.shares`. */
export interface ShareRecord {
  /** As PostgreSQL writes an int4multirange: `{[1,3),[5,6)}`. */
  readonly disks: string;
  readonly bytes: number;
}

/** A row of `qsnap.findings`. */
export interface FindingRecord {
  readonly rule: string;
  readonly ruleName: string;
  readonly level: string;
  /** Byte offset in the file. */
  readonly at: number | undefined;
  readonly length: number | undefined;
  readonly message: string;
}

/** The columns of `qsnap.images` that the image itself tells. */
export interface ImageFacts {
  readonly fileBytes: number;
  readonly allocatedBytes: number | undefined;
  readonly formatVersion: number;
  readonly clusterBytes: number;
  readonly refcountBits: number;
  readonly virtualBytes: number;
  readonly compression: string;
  readonly encryption: string | undefined;
  readonly isDirty: boolean;
  readonly isCorrupt: boolean;
  /** Undefined where the snapshot table can't be read whole. */
  readonly snapshotCount: number | undefined;
  readonly snapshotTableBytes: number;
  readonly backingName: string | undefined;
  readonly backingFormat: string | undefined;
  /** The backing file as a catalogue would name it. */
  readonly backingLocation: string | undefined;
  readonly dataFileName: string | undefined;
  readonly tablesSha256: string;
}

/** What the walk over all tables tells. */
export interface ImageSpace {
  readonly dataBytes: number;
  readonly metadataBytes: number;
  readonly freeBytes: number;
  readonly leakedBytes: number;
  readonly tailBytes: number;
  readonly changedBytes: number | undefined;
}

/** Why an image could not be read, or not in part. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** What one reading of an image gives. */
export interface ImageRecord {
  /** Undefined where the file could not be opened. */
  readonly stamp: string | undefined;
  /** Milliseconds since the Epoch. */
  readonly modifiedAt: number | undefined;
  readonly facts: ImageFacts | undefined;
  readonly space: ImageSpace | undefined;
  readonly disks: readonly DiskRecord[];
  readonly shares: readonly ShareRecord[];
  readonly findings: readonly FindingRecord[];
  readonly findingsLeftOut: number;
  /** What could not be measured of an image that can be read. */
  readonly unmeasured: Failure | undefined;
  /** Why nothing of it could be read. */
  readonly failure: Failure | undefined;
  /** The file is not there any more. */
  readonly isGone: boolean;
  /** What has to be read before this is the whole record; undefined: it is. */
  readonly unhashed: HashPlan | undefined;
}
