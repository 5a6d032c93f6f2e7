import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { bound, type EditPlan } from '../tx/plan.js';
import type { AuditedEdit } from './audit.js';
import { noRoom, OutOfClusters, type Ledger } from './ledger.js';
import { countNewTables } from './new-tables.js';
import { placeRefcounts } from './place-refcounts.js';
import { placeTables } from './place.js';
import { planOf, type PlacedEdit } from './plan-of.js';
import { refuseUnfit } from './refuse.js';
import { refuseNewDoubts } from './refuse-new-doubts.js';
import { surveyEdit, type EditRequest, type SurveyedEdit } from './survey.js';
import { moveDataRefcounts, tablesToCopy } from './tables-to-copy.js';
import { placeWithin } from './within-ledger.js';

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
  const placed = await placeAll(edit, request, image.mayGrow);
  await refuseNewDoubts(edit.image, placed);
  const { operation, summary, created } = request;
  return bound({ ...placed, operation, summary, created }, image);
}

/** @throws QsnapError NO_SPACE with how much longer a medium of fixed length ought to be. */
async function placeAll(
  edit: SurveyedEdit,
  { placeMore }: EditRequest,
  mayGrow: boolean,
): Promise<PlacedEdit> {
  const place: Place = (audited, ledger) => placeOnce(audited, ledger, placeMore);
  try {
    return await placeWithin(edit, mayGrow, place);
  } catch (error) {
    if (!(error instanceof OutOfClusters)) throw error;
    throw noRoom((await placeWithin(edit, true, place)).facts.growthBytes);
  }
}

type Place = (edit: AuditedEdit, ledger: Ledger) => Promise<PlacedEdit>;

async function placeOnce(
  edit: AuditedEdit,
  ledger: Ledger,
  placeMore: EditRequest['placeMore'],
): Promise<PlacedEdit> {
  const { image, next, refcountBlocks } = edit;
  moveDataRefcounts(edit);
  const added = countNewTables(edit, ledger);
  const moved = edit.moves.any || added.tables.length > 0;
  const copied = next.activeL1 === undefined ? [] : await tablesToCopy(edit, moved);
  const tables = placeTables(edit, { copied, added }, ledger);
  const sector = await placeMore?.(ledger);
  const before = { table: image.header.refcountTable, blocks: refcountBlocks };
  // Where no count changes, the refcounts stay where they are.
  const isMoved = ledger.counts.touched.includes(1);
  const refcountTable = isMoved ? placeRefcounts(image.geometry, before, ledger) : before.table;
  ledger.seal();
  return planOf(edit, { ...tables, refcountTable }, ledger, sector);
}
