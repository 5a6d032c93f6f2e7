import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { encodeSwitch, type SwitchFields } from '../../qcow2/header.js';
import { SWITCH_FROM } from '../../qcow2/spec.js';
import {
  bound,
  shadowWriteBytes,
  sizeAfterShadow,
  type DescribedPlan,
  type EditPlan,
  type WritePlan,
} from '../tx/plan.js';
import { audit, type AuditedEdit } from './audit.js';
import { keptAutoclear } from './autoclear.js';
import { clustersToCover } from './clusters-to-cover.js';
import { freedRanges } from './freed.js';
import { Ledger, noRoom, OutOfClusters } from './ledger.js';
import { mendsOf } from './mends.js';
import { countNewTables } from './new-tables.js';
import { placeRefcounts } from './place-refcounts.js';
import { placeTables } from './place.js';
import { refuseUncountable, refuseUnfit } from './refuse.js';
import { surveyEdit, type EditRequest, type SurveyedEdit } from './survey.js';
import { moveDataRefcounts, tablesToCopy } from './tables-to-copy.js';

/** How much larger the ledger gets each time it turned out too small, and how often it may. */
const LEDGER_GROWTH = 16;
const LEDGER_TRIES = 4;

/**
 * Plans an edit. Nothing is written, and all that the image itself may make fail fails here.
 *
 * ```
 * image ─ survey ─► who points at which L2 table ─ request.next ─► the new state
 *       ─ audit ──► refcounts, flags, free clusters ─ place ─────► where all of it goes ─► plan
 * ```
 *
 * @throws QsnapError IMAGE_DIRTY, IMAGE_MARKED_CORRUPT, EXTERNAL_DATA_FILE, IMAGE_DAMAGED,
 *   REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE, ABORTED, and what the request throws.
 */
export async function planEdit<Source extends BlockSource>(
  image: OpenImage<Source>,
  request: EditRequest,
  { signal }: Stoppable = {},
): Promise<EditPlan<Source>> {
  refuseUnfit(image);
  const edit = await surveyEdit(stoppableImage(image, signal, 'the planning'), request);
  const placed = await placeWithin(edit, image.mayGrow);
  const { operation, summary, created } = request;
  return bound({ ...placed, operation, summary, created }, image);
}

type PlacedEdit = WritePlan & Pick<DescribedPlan, 'facts'>;

/**
 * Finds a place for all of the new state: with a larger ledger each time, where the file may become longer.
 *
 * @throws QsnapError NO_SPACE with how much longer a medium of fixed length ought to be.
 */
async function placeWithin(edit: SurveyedEdit, mayGrow: boolean): Promise<PlacedEdit> {
  const { image, format } = edit;
  for (let attempt = 0; ; attempt++) {
    const clusters = clustersToCover(edit) * LEDGER_GROWTH ** attempt;
    refuseUncountable(clusters, image);
    const audited = await audit(edit, clusters);
    const { counts, free } = audited;
    try {
      return await place(audited, new Ledger(image, counts, free, format.fileClusters, mayGrow));
    } catch (error) {
      if (!(error instanceof OutOfClusters)) throw error;
      if (!mayGrow) throw noRoom((await placeWithin(edit, true)).facts.growthBytes);
      if (attempt === LEDGER_TRIES) throw noRoom(error.clusters * image.geometry.clusterBytes);
    }
  }
}

async function place(edit: AuditedEdit, ledger: Ledger): Promise<PlacedEdit> {
  const { image, next, refcountBlocks } = edit;
  moveDataRefcounts(edit);
  const added = countNewTables(edit, ledger);
  const moved = edit.moves.any || added.tables.length > 0;
  const copied = next.activeL1 === undefined ? [] : await tablesToCopy(edit, moved);
  const tables = placeTables(edit, { copied, added }, ledger);
  const before = { table: image.header.refcountTable, blocks: refcountBlocks };
  const refcountTable = placeRefcounts(image.geometry, before, ledger);
  ledger.seal();
  return planOf(edit, { ...tables, refcountTable }, ledger);
}

/** The writes of an edit for which all has its place, and their numbers. */
function planOf(
  { image, next, leakedClusters, flagsWrong }: AuditedEdit,
  places: Pick<SwitchFields, 'activeL1' | 'snapshotTable' | 'refcountTable'>,
  ledger: Ledger,
): PlacedEdit {
  const { header, headerSector, fileSizeBytes, geometry } = image;
  const shadow = ledger.writes;
  const freed = freedRanges(ledger.counts, ledger.free, geometry);
  const freedBytes = freed.reduce((sum, range) => sum + range.length, 0);
  const freedDataBytes = freedBytes - ledger.freedMetadataClusters * geometry.clusterBytes;
  const { diskSizeBytes } = next;
  const fields = { ...places, diskSizeBytes, autoclear: keptAutoclear(image) };
  const plan: WritePlan = {
    headerSector,
    fileSizeBytes,
    shadow,
    switch: { at: SWITCH_FROM, bytes: encodeSwitch(header.version, headerSector, fields) },
    freed,
    // Room that only tables had is what the next edit needs. Ours: docs/decisions/0005.
    punch: freedDataBytes > 0 ? freed : [],
  };
  return {
    ...plan,
    facts: {
      shadowBytes: shadow.reduce((sum, write) => sum + shadowWriteBytes(write), 0),
      growthBytes: sizeAfterShadow(plan) - fileSizeBytes,
      freedBytes,
      freedDataBytes,
      leakedClusters,
      mends: mendsOf(image, flagsWrong, {
        activeL1: next.activeL1 === undefined,
        snapshotTable: places.snapshotTable.at === header.snapshotTable.at,
      }),
    },
  };
}
