import { clustersToHold } from '../../base/units.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { L1Ref } from '../../qcow2/header.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { NO_DETAILS, type Reason, type Unnumbered } from './candidate.js';
import { findOldEntries, type OldEntry } from './find-entries.js';
import { findL1s } from './find-l1s.js';
import { whereaboutsOf, type Ground } from './ground.js';
import { DiskJudge, DISKS_MAX, type JudgedL1 } from './judge-disks.js';
import { diskPlausibility, fateReasons, inOrder, reason } from './plausibility.js';
import type { RemainsContents } from './remains-looks.js';

/** What speaks for a disk that an entry of a snapshot table names, before its tables are looked at. */
const BASE_OF_ENTRY = 40;

/** Disks that the image no longer has. */
export interface FoundDisks {
  readonly candidates: readonly Unnumbered[];
  readonly snapshotTables: readonly Unnumbered[];
  /** Clusters of the tables that are explained by them: L1 tables, and the L2 tables that they lead to. */
  readonly explained: ClusterSet;
}

/** Finds L1 tables, by the entries of old snapshot tables and by themselves, and judges what they lead to. */
export async function findDisks(
  ground: Ground,
  contents: RemainsContents,
  signal?: AbortSignal,
): Promise<FoundDisks> {
  const { entries, tables } = await findOldEntries(ground, contents);
  const named = new Map(entries.map((entry) => [entry.snapshot.l1.at, entry]));
  const unnamed = (await unnamedL1s(ground, contents)).filter(({ at }) => !named.has(at));
  const refs = [...entries.map(({ snapshot }) => snapshot.l1), ...unnamed].slice(0, DISKS_MAX);
  const judged = await DiskJudge.judge(refs, ground, contents, signal);
  const explained = new ClusterSet(ground.format.fileClusters);
  const candidates = judged.map((one, i) => {
    addExplained(one, ground, explained);
    const entry = entries[i];
    return entry === undefined ? unnamedDisk(one, ground) : namedDisk(entry, one, ground);
  });
  const isNamed = ({ kind }: Unnumbered): boolean => kind === 'snapshot';
  return {
    candidates: [
      ...inOrder(candidates.filter(isNamed)),
      ...inOrder(candidates.filter((one) => !isNamed(one))),
    ],
    ...{ snapshotTables: tables, explained },
  };
}

/** L1 tables that look like it, as long as the active one at most. */
async function unnamedL1s(ground: Ground, contents: RemainsContents): Promise<readonly L1Ref[]> {
  const { format, image, pointers } = ground;
  const { clusterBytes } = format.geometry;
  const live = new Set(pointers?.offsets ?? []);
  const entries = image?.header.activeL1.entries ?? clusterBytes / 8;
  const isCluster = (at: number): boolean =>
    at % clusterBytes === 0 && at / clusterBytes < format.fileClusters;
  const found = await findL1s(
    contents.tables,
    Math.max(1, clustersToHold(entries * 8, clusterBytes)),
    {
      isTable: (at) => isCluster(at) && (live.has(at) || contents.isTable.has(at / clusterBytes)),
      isZero: (at) => isCluster(at) && contents.isZero.has(at / clusterBytes),
    },
    ground,
  );
  return found.map(({ at, clusters }) => {
    const room = (clusters * clusterBytes) / 8;
    return { at, entries: Math.min(room, Math.max(1, entries)) };
  });
}

function addExplained(
  { ref, isReused, tables }: JudgedL1,
  { format }: Ground,
  explained: ClusterSet,
): void {
  if (isReused) return;
  const { clusterBytes } = format.geometry;
  const first = Math.floor(ref.at / clusterBytes);
  const end = first + clustersToHold(ref.entries * 8, clusterBytes);
  explained.addRange(first, Math.min(end, format.fileClusters));
  for (const at of tables) explained.add(at / clusterBytes);
}

function namedDisk(
  { snapshot, where, times, beside }: OldEntry,
  one: JudgedL1,
  ground: Ground,
): Unnumbered {
  const disk = l1EntriesFor(snapshot.diskSizeBytes, ground.format.geometry);
  const vmEntries = snapshot.l1.entries - disk;
  const { nameBytes, idBytes, extraData } = snapshot;
  return {
    ...NO_DETAILS,
    ...{ kind: 'snapshot', at: snapshot.at, where, snapshot, l1: snapshot.l1, beside: [...beside] },
    bytes: 40 + extraData.length + idBytes.length + nameBytes.length,
    plausibility: diskPlausibility(one, BASE_OF_ENTRY),
    reasons: [
      reason('entry-parses', 1),
      ...(times > 1 ? [reason('entry-repeated', times)] : []),
      ...l1Reasons(one),
      ...(vmEntries > 0 ? [reason('maps-vm-state', vmEntries, snapshot.l1.entries)] : []),
    ],
    fates: one.fates,
  };
}

function unnamedDisk(one: JudgedL1, ground: Ground): Unnumbered {
  const { ref } = one;
  const { clusterBytes } = ground.format.geometry;
  return {
    ...NO_DETAILS,
    ...{ kind: 'l1-table', at: ref.at, bytes: ref.entries * 8, l1: ref },
    where: whereaboutsOf(ref.at / clusterBytes, ground),
    plausibility: diskPlausibility(one, 0),
    reasons: l1Reasons(one),
    fates: one.fates,
  };
}

function l1Reasons(one: JudgedL1): readonly Reason[] {
  const { isReused, pointers, leading, empty, wrong, fates, isPartial } = one;
  if (isReused) return [reason('l1-reused', 1)];
  if (pointers === 0) return [reason('l1-empty', 1)];
  const gone = pointers - leading - empty - wrong;
  return [
    reason('l1-leads-to-tables', leading, pointers),
    ...(gone > 0 ? [reason('tables-reused', gone, pointers)] : []),
    ...fateReasons(fates),
    ...(isPartial ? [reason('not-all-looked-at', 1)] : []),
  ];
}
