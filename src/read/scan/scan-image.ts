import type { BlockSource } from '../../io/device.js';
import { stoppable } from '../../io/stoppable.js';
import type { Unread } from '../../image/image.js';
import type { Candidate } from './candidate.js';
import { inOrder } from './plausibility.js';
import type { RemainsContents } from './remains-looks.js';
import { findDisks } from './find-disks.js';
import { findOther } from './find-other.js';
import { findTables } from './find-tables.js';
import { surveyGround, type Ground, type GroundOptions } from './ground.js';
import { lookThrough, type ScanWatch } from './look-through.js';

/** What a scan is told. */
export interface ScanOptions extends ScanWatch, GroundOptions {}

/** What a scan knows of the image and of its clusters: for `recoveredRanges`, and as long as the source is open. */
export interface ScanBasis {
  readonly ground: Ground;
  readonly contents: RemainsContents;
}

/** What a scan found. */
export interface ScanReport {
  readonly basis: ScanBasis;
  readonly fileSizeBytes: number;
  readonly clusterBytes: number;
  /** What can't be read of the image as it is; `header` where there is none. */
  readonly unread: readonly Unread[];
  readonly hasHeader: boolean;
  /** Bytes of clusters past the end of the file that the refcounts call used: more than 0 in a file that was cut off. */
  readonly pastEndBytes: number;
  /** Bytes of clusters that nothing refers to. */
  readonly unreferencedBytes: number;
  /** Of those, in holes of the file: never written, or given back to the host. */
  readonly holeBytes: number;
  /** Of those, in clusters that are not zeros. */
  readonly dataBytes: number;
  /** Snapshots first, then L1 tables, then what is no disk; of each the most plausible first. */
  readonly candidates: readonly Candidate[];
  /** Candidates that were left out, since there were too many. */
  readonly candidatesLeftOut: number;
}

/** No more candidates are told. Ours. */
const CANDIDATES_MAX = 10_000;

/**
 * Looks through all clusters that nothing refers to, each once, for what deleted snapshots and older states of the image
 * left in them. Nothing is written, and nothing that the image names is opened.
 *
 * ```ts
 * const { candidates } = await scanImage(device);
 * for (const { number, kind, at, plausibility } of candidates) console.log(number, kind, at, plausibility);
 * ```
 *
 * @throws QsnapError NOT_QCOW2 and the other codes of a header that can't be read, where the tables do not tell the size
 *   of a cluster either; READ_FAILED, LIMIT_EXCEEDED, ABORTED.
 */
export async function scanImage(
  opened: BlockSource,
  options: ScanOptions = {},
): Promise<ScanReport> {
  const source = stoppable(opened, options.signal, 'the scan');
  const ground = await surveyGround(source, options);
  const { contents, unreferencedBytes, holeBytes } = await lookThrough(ground, options);
  const disks = await findDisks(ground, contents, options.signal);
  const tables = await findTables(ground, contents, disks);
  const other = await findOther(ground, contents);
  const found = [...disks.candidates, ...inOrder([...disks.snapshotTables, ...tables, ...other])];
  const candidates = found.slice(0, CANDIDATES_MAX);
  const { clusterBytes } = ground.format.geometry;
  return {
    basis: { ground, contents },
    fileSizeBytes: ground.fileSizeBytes,
    clusterBytes,
    pastEndBytes: ground.pastEndClusters * clusterBytes,
    unread: ground.image?.unread ?? [],
    hasHeader: ground.image !== undefined,
    unreferencedBytes,
    holeBytes,
    dataBytes: contents.dataBytes,
    candidates: candidates.map((candidate, i) => ({ ...candidate, number: i + 1 })),
    candidatesLeftOut: found.length - candidates.length,
  };
}
