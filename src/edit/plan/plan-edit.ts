import type { Image } from '../../image/image.js';
import { encodeSwitch } from '../../qcow2/header.js';
import { SWITCH_FROM } from '../../qcow2/spec.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import {
  bound,
  shadowWriteBytes,
  sizeAfterShadow,
  type DescribedPlan,
  type EditPlan,
  type WritePlan,
} from '../tx/plan.js';
import { audit, type Audit } from './audit.js';
import { keptAutoclear } from './autoclear.js';
import { Ledger, noRoom, OutOfClusters } from './ledger.js';
import { freedRanges } from './freed.js';
import type { NextState } from './next-state.js';
import { mendsOf } from './mends.js';
import { countNewTables } from './new-tables.js';
import { placeTables } from './place.js';
import { placeRefcounts } from './place-refcounts.js';
import { refuseUncountable, refuseUnfit } from './refuse.js';
import { moveDataRefcounts, tablesToCopy } from './tables-to-copy.js';
import { clustersToCover } from './clusters-to-cover.js';
import { survey, type Survey } from './survey.js';

/** How much larger the ledger gets each time it turned out too small, and how often it may. */
const LEDGER_GROWTH = 16;
const LEDGER_TRIES = 4;

/**
 * Plans an edit: proves the image sound, computes the whole new state in memory and where each
 * piece goes. Nothing is written; what can fail for reasons that lie in the image fails here.
 *
 * @throws QsnapError IMAGE_DIRTY, IMAGE_MARKED_CORRUPT, EXTERNAL_DATA_FILE, IMAGE_DAMAGED,
 *   REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE, ABORTED.
 */
export async function planEdit<Source extends BlockSource>(
  image: Image<Source>,
  next: NextState,
  about: Pick<DescribedPlan, 'operation' | 'summary' | 'created'>,
  { signal }: Stoppable = {},
): Promise<EditPlan<Source>> {
  refuseUnfit(image);
  const surveyed = await survey(stoppableImage(image, signal, 'the planning'), next);
  const planned = image.mayGrow
    ? await placeBehindToo(surveyed, next)
    : await placeInside(surveyed, next);
  return bound({ ...planned, ...about }, image);
}

/** For a file that may become longer: the ledger grows until all finds its place. */
async function placeBehindToo(surveyed: Survey, next: NextState): Promise<Placement> {
  for (let attempt = 0; ; attempt++) {
    const clusters = clustersToCover(surveyed, next) * LEDGER_GROWTH ** attempt;
    try {
      return await placeWith(surveyed, next, clusters, true);
    } catch (error) {
      if (!(error instanceof OutOfClusters)) throw error;
      if (attempt < LEDGER_TRIES) continue;
      throw noRoom(error.clusters * surveyed.image.geometry.clusterBytes);
    }
  }
}

/** For a medium of fixed length. @throws QsnapError NO_SPACE with how much longer it ought to be. */
async function placeInside(surveyed: Survey, next: NextState): Promise<Placement> {
  try {
    return await placeWith(surveyed, next, clustersToCover(surveyed, next), false);
  } catch (error) {
    if (!(error instanceof OutOfClusters)) throw error;
    throw noRoom((await placeBehindToo(surveyed, next)).facts.growthBytes);
  }
}

async function placeWith(
  surveyed: Survey,
  next: NextState,
  clusters: number,
  growable: boolean,
): Promise<Placement> {
  const { image, format } = surveyed;
  refuseUncountable(clusters, image);
  const audited = await audit(surveyed, clusters);
  const { counts, free } = audited;
  const ledger = new Ledger(image, counts, free, format.fileClusters, growable);
  return place(surveyed, next, audited, ledger);
}

type Placement = WritePlan & Pick<DescribedPlan, 'facts'>;

async function place(
  surveyed: Survey,
  next: NextState,
  audited: Audit,
  ledger: Ledger,
): Promise<Placement> {
  const { image } = surveyed;
  const { clusterBytes } = image.geometry;
  moveDataRefcounts(surveyed, audited, ledger);
  const added = countNewTables(surveyed, next, audited, ledger);
  const copied =
    next.activeL1 === undefined
      ? []
      : await tablesToCopy(surveyed, audited, ledger, audited.moves.any || added.tables.length > 0);
  const placed = placeTables(surveyed, next, audited, { copied, added }, ledger);
  const refcounts = placeRefcounts(
    image.geometry,
    { table: image.header.refcountTable, blocks: surveyed.refcountBlocks },
    ledger,
  );
  ledger.seal();
  const freed = freedRanges(ledger.counts, ledger.free, image.geometry);
  const freedBytes = freed.reduce((sum, range) => sum + range.length, 0);
  const freedDataBytes = freedBytes - ledger.freedMetadataClusters * clusterBytes;
  const shadow = [...placed.shadow, ...refcounts.writes];
  const plan: WritePlan = {
    headerSector: image.headerSector,
    fileSizeBytes: image.fileSizeBytes,
    shadow,
    switch: {
      at: SWITCH_FROM,
      bytes: encodeSwitch(image.header.version, image.headerSector, {
        diskSizeBytes: next.diskSizeBytes,
        activeL1: placed.activeL1,
        refcountTable: refcounts.table,
        snapshotTable: placed.snapshotTable,
        autoclear: keptAutoclear(image),
      }),
    },
    // Room that only tables had is what the next edit needs. Ours: docs/decisions/0005.
    punch: freedDataBytes > 0 ? freed : [],
  };
  return {
    ...plan,
    facts: {
      shadowBytes: shadow.reduce((sum, write) => sum + shadowWriteBytes(write), 0),
      growthBytes: sizeAfterShadow(plan) - image.fileSizeBytes,
      freedBytes,
      freedDataBytes,
      leakedClusters: audited.leakedClusters,
      mends: mendsOf(image, audited, {
        activeL1: next.activeL1 === undefined,
        snapshotTable: placed.snapshotTable.at === image.header.snapshotTable.at,
      }),
    },
  };
}
