import { Ledger, noRoom, OutOfClusters } from '../plan/ledger.js';
import { placeRefcounts, type RefcountPlaces } from '../plan/place-refcounts.js';
import { refuseUncountable } from '../plan/refuse.js';
import { sharedJunkBlocks } from '../../read/check/lost-blocks.js';
import { tableFormat } from '../../image/table-format.js';
import type { OpenImage } from '../../image/image.js';
import { claimedDisks, type CheckedImage } from '../../image/open-for-check.js';
import { unlistedSnapshots } from '../../image/unlisted.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { scanOf } from '../../l1l2/scan.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import type { DescribedPlan } from '../tx/plan.js';
import { assemblePlan } from './assemble-plan.js';
import { choseClass, choseFinding, givesUp, type RepairChoice } from './choice.js';
import { countMended } from './count.js';
import { asListed, withoutBitmaps } from './image-without.js';
import { droppedBitmaps, type DroppedBitmaps } from './dropped-bitmaps.js';
import { droppedSnapshots, type DroppedSnapshots } from './dropped-snapshots.js';
import { TableMender } from './mend-tables.js';
import { placeSnapshotTable } from './place-snapshot-table.js';
import { placeTree } from './place-tree.js';
import { refuseUnmendable, tooManyUnreadable, wouldCover } from './refuse.js';
import { clustersNamed, clustersToCount, freeBefore, freeClusters } from './free-clusters.js';
import { decideRefcounts, type DecidedRefcounts } from './decide-refcounts.js';
import {
  readStoredRefcounts,
  withoutJunkBlocks,
  type StoredRefcounts,
} from './stored-refcounts.js';
import type { ReleasedReferences } from './released-references.js';
import { readTree } from './tree.js';
import { hasUnknownOwners, Unknowns } from './unknowns.js';
import { movesOf, releaseMoved, type Moves } from './moves.js';
import { SharedPlaces } from './parting.js';

/** How a repair is planned. */
export interface RepairPlanning {
  /** Marks that the repair clears: only those that a check of the result allows it to. */
  readonly clears: readonly ('dirty' | 'corrupt')[];
  /**
   * Whether a table may have referred to clusters that is lost or can't be read, by the findings of a check.
   * Tables that the choice gives up don't count.
   */
  readonly ownersHidden: boolean;
  /** Whether clusters that may be lost data get refcounts that a later check knows them by: `DOUBTED_EXCESS`. */
  readonly marksDoubted?: boolean;
}

/** What a planned repair does to refcounts. */
export interface RepairFacts {
  /** Clusters whose refcount was too low. */
  readonly raisedClusters: number;
  /** Clusters whose refcount was too high and no longer is. */
  readonly loweredClusters: number;
  /** Clusters whose refcount stays too high. */
  readonly leakedClusters: number;
  /** The bitmaps that are given up; undefined where none are. */
  readonly droppedBitmaps: DroppedBitmaps | undefined;
  /** The snapshots that are dropped; undefined where none are. */
  readonly droppedSnapshots: DroppedSnapshots | undefined;
}

/** A repair as a plan; undefined where nothing has to be written. */
export interface PlannedRepair {
  readonly plan: DescribedPlan | undefined;
  readonly facts: RepairFacts;
}

/**
 * Plans a repair. Every choice makes the image safe to write to: no refcount is below the references, the
 * refcount structures can be read, and COPIED flags agree with the refcounts.
 *
 * Guest data stays where it is. A table that moves is copied behind the end of the file (into free clusters if the
 * medium can't grow), and its old bytes stay, too: clusters go back to the host only if that was chosen.
 *
 * @throws QsnapError REPAIR_REFUSED, EXTERNAL_DATA_FILE, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE.
 */
export async function planRepair(
  opened: CheckedImage,
  choice: RepairChoice,
  planning: RepairPlanning,
): Promise<PlannedRepair> {
  refuseUnmendable(opened, choice);
  const listed = asListed(opened);
  const drops = choice.dropBitmaps === true && listed.image.header.bitmapsConsistent;
  const checked = drops ? withoutBitmaps(listed) : listed;
  const { image } = checked;
  const format = tableFormat(image);
  const unknowns = new Unknowns(hasUnknownOwners(checked, choice) || planning.ownersHidden, format);
  for (let attempt = 0; ; attempt++) {
    try {
      const planned = await planWith(checked, choice, planning, format, unknowns, listed.image);
      const dropped = drops ? await droppedBitmaps(listed.image) : undefined;
      const facts = {
        ...planned.facts,
        droppedBitmaps: dropped,
        droppedSnapshots: droppedSnapshots(listed, choice),
      };
      return { ...planned, facts };
    } catch (error) {
      if (!(error instanceof OutOfClusters)) throw error;
      if (!image.mayGrow) throw noRoom(error.clusters * format.geometry.clusterBytes);
      // The first attempt noted the clusters to leave out; the second one has room for them.
      if (attempt > 0) throw tooManyUnreadable();
    }
  }
}

async function planWith(
  checked: CheckedImage,
  choice: RepairChoice,
  planning: RepairPlanning,
  format: TableFormat,
  unknowns: Unknowns,
  undropped: OpenImage,
): Promise<PlannedRepair> {
  const { image } = checked;
  const mender = new TableMender(image, format, choice);
  const tree = await readTree(image, mender, choice, unknowns);
  let stored = await readStoredRefcounts(image);
  for (const at of stored.lost.values()) unknowns.spare(at, image.geometry.clusterBytes);

  const scan = scanOf(format);
  const clusters = clustersToCount(tree, stored, unknowns, format);
  refuseUncountable(clusters, image);
  const counts = newCounts(clusters, image.geometry);
  const roomy = counts.limitedTo(REFCOUNT_CAP);
  const counted = await countMended(tree, scan, stored.blocks, roomy, unknowns);
  const unlisted = await unlistedSnapshots(image, checked.behindTable, counts, stored.blocks);
  if (unlisted.length > 0) unknowns.addOwner();
  const isJunk = await sharedJunkBlocks(image, counts, stored.blocks, claimedDisks(checked));
  const alone = withoutJunkBlocks(stored, isJunk);
  const brokenRefcounts =
    alone.lost.size > 0 || alone.isLost || (stored.hasStrayBits && choseClass(choice, 'all'));
  // The entry that names the block, too, may be wrong: while owners are unknown, the block keeps its say.
  if (!unknowns.ownersUnknown) stored = alone;
  const moves = movesOf(tree, counted, brokenRefcounts, choice);
  const shared = new SharedPlaces(tree, counted, moves, choice);
  const released = releaseMoved(tree, counted, moves);
  const taken = { released, held: counted.held };
  const decided = await decide(checked, stored, counts, taken, unknowns, choice, planning, format);
  shared.note(counts);
  const named = clustersNamed(stored, format);
  const leave = (cluster: number): boolean => named.has(cluster) || counted.held.has(cluster);
  const old = await freeBefore(counts, decided, released, choice, undropped, mender);
  const free = freeClusters(checked, old, leave, unknowns, format);
  const ledger = new Ledger(image, counts, free, format.fileClusters, image.mayGrow);

  const { activeL1, inactiveL1s } = await placeTree(tree, counted, moves, scan, ledger);
  const snapshotTable = placeSnapshotTable(checked, tree, moves, inactiveL1s, choice, ledger);
  const refcountTable = placeAllRefcounts(checked, stored, decided, moves, ledger);
  ledger.seal();
  shared.refuseParting(ledger, released);
  const covered = unknowns.firstCovered(ledger.endCluster);
  if (covered !== undefined) throw wouldCover(covered * image.geometry.clusterBytes);
  const places = { activeL1, snapshotTable, refcountTable };
  const asked = { clears: planning.clears, punch: choice.punch === true };
  const plan = assemblePlan(image, places, asked, ledger, decided, old);
  return {
    plan,
    facts: {
      raisedClusters: decided.raised,
      loweredClusters: decided.lowered,
      leakedClusters: decided.leaksLeft,
      droppedBitmaps: undefined,
      droppedSnapshots: undefined,
    },
  };
}

async function decide(
  checked: CheckedImage,
  stored: StoredRefcounts,
  counts: Counts,
  { released, held }: { readonly released: ReleasedReferences; readonly held: ReadonlySet<number> },
  unknowns: Unknowns,
  choice: RepairChoice,
  { ownersHidden, marksDoubted = false }: RepairPlanning,
  { fileClusters, geometry }: TableFormat,
): Promise<DecidedRefcounts> {
  const { image, table } = checked;
  const isWhole = table.stop === undefined || choice.dropUnreadSnapshots === true;
  const isSure = !unknowns.ownersUnknown && isWhole;
  const lowersAll =
    choseClass(choice, 'perhaps-lost') ||
    (choseClass(choice, 'leaks') && !ownersHidden) ||
    (isSure && (choseClass(choice, 'all') || givesUp(choice)));
  const codes = ownersHidden
    ? (['CLUSTER_PERHAPS_LOST', 'REFERENCES_PERHAPS_LOST'] as const)
    : (['CLUSTER_LEAKED', 'REFCOUNT_TOO_HIGH'] as const);
  const entryAt = (cluster: number): number => {
    const block = Math.floor(cluster / geometry.refcountBlockEntries);
    const bit = (cluster % geometry.refcountBlockEntries) * geometry.refcountBits;
    return stored.blocks[block]! + Math.floor(bit / 8);
  };
  return decideRefcounts(image, stored, counts, {
    released,
    ownersUnknown: !isSure,
    disks: claimedDisks(checked),
    marksDoubted,
    fileClusters,
    lowers: (cluster, _, references) => {
      if (references === 0 && held.has(cluster)) return false;
      const code = codes[references === 0 ? 0 : 1];
      return lowersAll || choseFinding(choice, [code], entryAt(cluster));
    },
  });
}

/** New refcount structures as far as anything changes in them. */
function placeAllRefcounts(
  { image }: CheckedImage,
  stored: StoredRefcounts,
  decided: DecidedRefcounts,
  moves: Moves,
  ledger: Ledger,
): RefcountPlaces['table'] {
  const { touched } = ledger.counts;
  const table = image.header.refcountTable;
  if (!moves.refcounts) {
    if (!touched.includes(1)) return table;
    return placeRefcounts(image.geometry, { table, blocks: stored.blocks }, ledger);
  }
  decided.inUse.forEach((inUse, block) => {
    if (inUse === 1) touched[block] = 1;
  });
  const none = { table: { at: 0, clusters: 0 }, blocks: new Float64Array(0) };
  return placeRefcounts(image.geometry, none, ledger);
}
