import { isQsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import { neighbourText } from '../../image/one-bit.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { gatherEvidence, nothingFound, type RescueOptions } from './gather.js';
import { findL1s } from '../../read/scan/find-l1s.js';
import { clusterSizesInDoubt } from './cluster-size.js';
import { refuseUnnamedDataFile } from './data-file.js';
import { withBelievedRefcounts } from './believed-refcounts.js';
import { holdsTable, isZeroAt, l1ClusterCount, type Evidence } from './evidence.js';
import { findRoots, withAskedDisk, type AskedDisk } from './find-roots.js';
import { mendPointers, type PointerFindings } from './mend-pointers.js';
import { addMetadata } from './orphans.js';
import type { RescueHead } from './head.js';
import { isSizePossible } from './l1-room.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { findLostEntries, lostCount } from './lost-ranges.js';
import { diskEntries, type Root } from './root.js';
import { decideDisks } from './decide-disks.js';
import { isSizeInDoubt } from './size-doubt.js';
import { findSnapshots, type FoundSnapshots } from './snapshot-tables.js';
import { findUnexplained, tablesInDoubt } from './unexplained.js';
import { indexOfTable, weighTables, type WeighedTables } from './weigh.js';
import type { RescuedDisk, RescuePlan } from './rescue-plan.js';

/**
 * Looks at every cluster of a damaged image, and tells which disks are left in it. The file is read, and
 * nothing else.
 *
 * ```ts
 * const { disks, snapshotsLost } = await planRescue(device);
 * for (const { id, mappedBytes, lostBytes } of disks) console.log(id, mappedBytes, lostBytes);
 * ```
 *
 * @throws QsnapError NOT_QCOW2 where nothing of an image is found, EXTERNAL_DATA_FILE, LIMIT_EXCEEDED,
 *   READ_FAILED, ABORTED.
 */
export async function planRescue(
  source: BlockSource,
  options: RescueOptions = {},
): Promise<RescuePlan> {
  return planRescueOf(source, options);
}

/**
 * The same, and of disks that are only a guess the one that was asked for is among them in any case.
 *
 * @throws QsnapError as `planRescue` does.
 */
export async function planRescueOf(
  source: BlockSource,
  options: RescueOptions,
  asked?: AskedDisk,
): Promise<RescuePlan> {
  if (options.clusterBytes !== undefined) return planWith(source, options, asked);
  const sizes = await clusterSizesInDoubt(source, await source.sizeBytes(), options);
  let best: RescuePlan | undefined;
  for (const clusterBytes of sizes?.tried ?? []) {
    // The scan that found it believed the header.
    const wanted = clusterBytes === sizes?.storedBytes ? asked : undefined;
    const plan = await planIfAny(source, { ...options, clusterBytes }, wanted);
    if (plan !== undefined && (best === undefined || bringsBackMore(plan, best))) best = plan;
  }
  if (best === undefined) return planWith(source, options, asked);
  const isStored = best.evidence.format.geometry.clusterBytes === sizes?.storedBytes;
  return { ...best, clusterSizeDoubt: isStored ? 'open' : 'mended' };
}

/** Undefined where the cluster size makes nothing of the file. */
async function planIfAny(
  source: BlockSource,
  options: RescueOptions,
  asked: AskedDisk | undefined,
): Promise<RescuePlan | undefined> {
  try {
    return await planWith(source, options, asked);
  } catch (error) {
    if (isQsnapError(error) && NOT_THIS_SIZE.includes(error.code)) return undefined;
    throw error;
  }
}

const NOT_THIS_SIZE: readonly string[] = ['NOT_QCOW2', 'LIMIT_EXCEEDED', 'EXTERNAL_DATA_FILE'];

/** Refcounts that agree with the tables tell the cluster size better than anything. */
function bringsBackMore(plan: RescuePlan, other: RescuePlan): boolean {
  const { isKnown } = plan.evidence.refcounts;
  if (isKnown !== other.evidence.refcounts.isKnown) return isKnown;
  return bytesBack(plan) > bytesBack(other);
}

function bytesBack({ disks }: RescuePlan): number {
  const sure = disks.filter(({ sureness }) => sureness !== 'guess');
  return sure.reduce((sum, { mappedBytes }) => sum + mappedBytes, 0);
}

/** What is found with the cluster size of the options, or of the header. */
async function planWith(
  source: BlockSource,
  options: RescueOptions,
  asked: AskedDisk | undefined,
): Promise<RescuePlan> {
  const gathered = await gatherEvidence(source, options);
  const snapshots = await findSnapshots(gathered);
  const stored: Evidence = {
    ...gathered,
    ownRegions: [...gathered.ownRegions, snapshots.region],
    head: withSizeOfSnapshots(gathered.head, snapshots, gathered.format.geometry),
  };
  const { head, format } = stored;
  const entries = head.pointers?.l1Entries ?? 0;
  const needed = l1EntriesFor(head.diskSizeBytes ?? 0, format.geometry);
  const wanted = Math.max(needed, Math.min(entries, needed + 64));
  const candidates = await findL1s(
    stored.swept.tables,
    Math.max(1, l1ClusterCount(wanted, stored)),
    { isTable: (at) => holdsTable(at, stored), isZero: (at) => isZeroAt(at, stored) },
    stored,
  );
  const named = await findRoots(stored, snapshots, candidates);
  const evidence = await withBelievedRefcounts(stored, named);
  const found = evidence === stored ? named : await findRoots(evidence, snapshots, candidates);
  const decided = await decideDisks(found, evidence);
  const disks = asked === undefined ? decided : await withAskedDisk(decided, asked, evidence);
  const roots = await withSizes(disks, evidence);
  if (roots.length === 0) throw nothingFound(source);
  const metadata = new ClusterSet(format.fileClusters + 1);
  const believed = roots.filter(({ sureness }) => sureness !== 'guess');
  addMetadata(metadata, believed, evidence);
  const tables = await weighTables(believed, metadata, evidence);
  refuseUnnamedDataFile(tables, metadata, evidence);
  const { mended, doubtful } = await mendPointers(tables, metadata, evidence);
  const all =
    believed.length === roots.length ? tables : await weighTables(roots, metadata, evidence);
  const lostEntries = await findLostEntries(all, mended, metadata, evidence);
  const unexplained = await findUnexplained(roots, all, mended, metadata, evidence);
  return {
    evidence,
    disks: numbered(roots).map(([id, root]) =>
      diskOf(id, root, roots, all, { mended, doubtful, lostEntries, unexplained }, evidence),
    ),
    snapshotsLost: found.snapshotsLost,
    unexplained,
    mended,
    lostEntries,
    metadata,
    clusterSizeDoubt: 'none',
  };
}

/** A disk whose size is not known has most likely that of the last snapshot. */
function withSizeOfSnapshots(
  head: RescueHead,
  { named, others }: FoundSnapshots,
  geometry: Geometry,
): RescueHead {
  if (head.diskSizeBytes !== undefined) return head;
  const snapshots = [...others, ...named].filter(({ diskSizeBytes }) =>
    isSizePossible(diskSizeBytes, geometry),
  );
  const latest = snapshots.reduce<Snapshot | undefined>(
    (last, one) => ((last?.date.seconds ?? -1) > one.date.seconds ? last : one),
    undefined,
  );
  const diskSizeBytes = latest?.diskSizeBytes;
  if (diskSizeBytes === undefined || diskSizeBytes === 0) return head;
  return { ...head, diskSizeBytes, sizeFrom: 'snapshot' };
}

/** Where nothing tells the size of a disk, it ends where its tables do. */
async function withSizes(roots: readonly Root[], evidence: Evidence): Promise<readonly Root[]> {
  const { head, format } = evidence;
  if (head.diskSizeBytes !== undefined) return roots;
  const isOpen = ({ snapshot, diskSizeBytes }: Root): boolean =>
    snapshot === undefined || diskSizeBytes === 0;
  const open = roots.filter(isOpen);
  const tables = await weighTables(open, new ClusterSet(format.fileClusters + 1), evidence);
  const { clusterBytes, l2Entries } = format.geometry;
  return roots.map((root) => {
    if (!isOpen(root)) return root;
    const last = root.tables.findLastIndex((at) => at > 0);
    const entry = last === -1 ? -1 : tables.lastEntry[indexOfTable(root.tables[last]!, tables)]!;
    const diskSizeBytes = (Math.max(last, 0) * l2Entries + entry + 1) * clusterBytes;
    return { ...root, diskSizeBytes, tables: root.tables.slice(0, last + 1) };
  });
}

function numbered(roots: readonly Root[]): readonly (readonly [string, Root])[] {
  const counts = { active: 0, snapshot: 0, lost: 0 };
  return roots.map((root) => {
    counts[root.kind] += 1;
    return [root.kind === 'active' ? 'active' : `${root.kind}-${counts[root.kind]}`, root];
  });
}

/** What was found out about the tables of all disks. */
type DiskFindings = PointerFindings & Pick<RescuePlan, 'lostEntries' | 'unexplained'>;

function diskOf(
  id: string,
  root: Root,
  roots: readonly Root[],
  tables: WeighedTables,
  { mended, doubtful, lostEntries, unexplained }: DiskFindings,
  evidence: Evidence,
): RescuedDisk {
  const { clusterBytes, l2CoverageBytes } = evidence.format.geometry;
  const disk = diskEntries(root, evidence);
  let [tablesFound, tablesLost, mapped, mendedPointers] = [0, 0, 0, 0];
  let [lostBytes, lostVmStateBytes, doubtfulBytes] = [0, 0, 0];
  root.tables.forEach((at, index) => {
    if (at === 0) return;
    let lost = l2CoverageBytes;
    if (at < 0) tablesLost += 1;
    else {
      const table = indexOfTable(at, tables);
      const lostHere = lostCount(at, lostEntries);
      tablesFound += 1;
      mapped += tables.mapped[table]! + Math.max(0, tables.flawed[table]! - lostHere);
      mendedPointers += mended.get(at)?.size ?? 0;
      doubtfulBytes += ((doubtful.get(at) ?? 0) + tables.cutOff[table]!) * clusterBytes;
      lost = lostHere * clusterBytes;
    }
    if (index >= disk) lostVmStateBytes += lost;
    else lostBytes += Math.min(lost, root.diskSizeBytes - index * l2CoverageBytes);
  });
  const { kind, origin, diskSizeBytes } = root;
  const sizeInDoubt = isSizeInDoubt(root, roots, tables, evidence);
  const inDoubt = tablesInDoubt(root, tables, unexplained, evidence);
  const isChanged = mendedPointers + doubtfulBytes + inDoubt > 0 || sizeInDoubt;
  return {
    ...{ id, kind, origin, diskSizeBytes, root, tablesFound, tablesLost },
    ...{
      lostBytes,
      lostVmStateBytes,
      doubtfulBytes,
      mendedPointers,
      mappedBytes: mapped * clusterBytes,
      hint: hintOf(root, evidence),
      tablesInDoubt: inDoubt,
      sizeInDoubt,
    },
    sureness: isChanged && root.sureness === 'certain' ? 'likely' : root.sureness,
  };
}

function hintOf({ origin, l1At, snapshot, tables }: Root, evidence: Evidence): string | undefined {
  const stored = snapshot?.l1.at ?? evidence.head.pointers?.l1At;
  if (origin !== 'one-bit' || l1At === undefined || stored === undefined) return undefined;
  const { clusterBytes } = evidence.format.geometry;
  const entries = tables.filter((at) => at > 0).length;
  return neighbourText(stored, { at: l1At, entries }, clusterBytes, evidence.fileSizeBytes);
}
