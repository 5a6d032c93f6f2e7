import { throwIfAborted } from '../../../base/abort.js';
import { sameBytes } from '../../../base/text.js';
import { QsnapError } from '../../../errors.js';
import type { OpenImage } from '../../../image/image.js';
import { tableFormat } from '../../../image/table-format.js';
import { readAhead } from '../../../io/read-ahead.js';
import type { L1Ref } from '../../../qcow2/header.js';
import type { Snapshot } from '../../../qcow2/snapshot-table.js';
import { L2Tables } from '../../../read/guest/l2-tables.js';
import type { Survey } from '../survey.js';
import type { SourceTables } from '../source-tables.js';
import { differentSegments, REPORT_HINT } from './difference.js';
import { judge } from './judge.js';
import type { Judging } from './judging.js';
import { pairSteps } from './pair-steps.js';
import { PairFinder } from './pairs.js';
import { pairsByTables } from './pairs-by-tables.js';
import { spansOf } from './spans.js';
import { tablePairs, type DiskPair } from './table-pairs.js';

/** How the images are compared. */
export interface CompareOptions extends Omit<Judging, 'images' | 'packed'> {
  /** Both images have the same clusters and L2 entries. */
  readonly isSameGrid: boolean;
  /** Told of bytes of guest data and VM state that are compared. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Compares every disk and VM state of a new image with the old one, byte by byte, each by its own tables. What disks
 * share in both images is compared once.
 *
 * @param survey of the old image.
 * @throws QsnapError VERIFY_FAILED with where the first difference is; CLUSTER_DATA_INVALID, UNSUPPORTED_COMPRESSION,
 *   READ_FAILED, IMAGE_DAMAGED, ABORTED.
 */
export async function compareImages(
  { image: old, disks, format }: SourceTables,
  { packed }: Survey,
  made: OpenImage,
  options: CompareOptions,
): Promise<void> {
  const snapshots = disks.slice(1).map(({ snapshot }) => snapshot!);
  refuseOtherDisks(old, snapshots, made);
  const pairs = [await diskPair(old, made, undefined, undefined, options)];
  for (const [i, snapshot] of snapshots.entries()) {
    pairs.push(await diskPair(old, made, snapshot, made.snapshots[i], options));
  }
  const images = { old, made };
  const newFormat = tableFormat(made);
  const finder = new PairFinder({
    oldClusterBytes: old.geometry.clusterBytes,
    newClusterBytes: made.geometry.clusterBytes,
    oldClusters: format.fileClusters,
    newClusters: newFormat.fileClusters,
    hasSubclusters: [old, made].some(({ header }) => header.extendedL2),
    hasBacking: old.backingNameBytes !== undefined,
    packed,
    differ: (disk, guestAt, before, now) => {
      throw differentSegments(disk, guestAt, before, now, images);
    },
  });
  const tables = tablePairs(pairs, old.geometry, made.geometry);
  const batches = readAhead(pairsByTables(tables, images, finder));
  for await (const step of readAhead(pairSteps(batches, images))) {
    throwIfAborted(options.signal, 'the comparison');
    await judge(step, { ...options, images, packed });
    options.onBytes(step.reduce((sum, { bytes }) => sum + (bytes.old?.length ?? 0), 0));
  }
}

/** Opens the L1 tables of a disk. */
async function diskPair(
  old: OpenImage,
  made: OpenImage,
  snapshot: Snapshot | undefined,
  newSnapshot: Snapshot | undefined,
  { isSameGrid }: CompareOptions,
): Promise<DiskPair> {
  const [oldL1, newL1] = [l1Of(old, snapshot), l1Of(made, newSnapshot)];
  const diskSizeBytes = snapshot?.diskSizeBytes ?? old.header.diskSizeBytes;
  const [before, now] = [
    { geometry: old.geometry, l1: oldL1 },
    { geometry: made.geometry, l1: newL1 },
  ];
  return {
    name: snapshot === undefined ? 'the active disk' : `the disk of snapshot ${snapshot.id}`,
    snapshotId: snapshot?.id,
    old: await tablesOf(old, oldL1, snapshot),
    made: await tablesOf(made, newL1, snapshot),
    spans: spansOf(before, now, diskSizeBytes, snapshot, isSameGrid),
  };
}

function l1Of({ header }: OpenImage, snapshot: Snapshot | undefined): L1Ref {
  return snapshot === undefined ? header.activeL1 : snapshot.l1;
}

function tablesOf(image: OpenImage, l1: L1Ref, snapshot: Snapshot | undefined): Promise<L2Tables> {
  return L2Tables.open(image, l1, {
    structure: snapshot === undefined ? 'active L1' : 'snapshot L1',
    // Behind the disk there is VM state.
    diskSizeBytes: l1.entries * image.geometry.l2CoverageBytes,
    format: tableFormat(image),
    tolerant: false,
    goesOn: false,
  });
}

/** @throws QsnapError VERIFY_FAILED where the new image has other disks than the old one. */
function refuseOtherDisks(
  { header, backingNameBytes, source }: OpenImage,
  snapshots: readonly Snapshot[],
  made: OpenImage,
): void {
  const isSame =
    made.header.diskSizeBytes === header.diskSizeBytes &&
    (made.backingNameBytes === undefined) === (backingNameBytes === undefined) &&
    made.snapshots.length === snapshots.length &&
    snapshots.every((snapshot, i) => isSameSnapshot(snapshot, made.snapshots[i]!));
  if (isSame) return;
  throw new QsnapError('VERIFY_FAILED', 'the new image does not have the disks of the old one', {
    structure: 'snapshot table',
    file: made.source.label,
    expected: `the disks of ${source.label}`,
    hint: REPORT_HINT,
  });
}

function isSameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return (
    sameBytes(a.idBytes, b.idBytes) &&
    sameBytes(a.nameBytes, b.nameBytes) &&
    a.diskSizeBytes === b.diskSizeBytes &&
    a.vmStateBytes === b.vmStateBytes
  );
}
