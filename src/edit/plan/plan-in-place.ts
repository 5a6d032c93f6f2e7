import { bytesOfWords } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { bound, shadowBytesOf, type ShadowWrite } from '../tx/plan.js';
import type { StagedEdit } from '../tx/staged-plan.js';
import type { AuditedEdit } from './audit.js';
import {
  begin,
  usableClusters,
  releasedClusters,
  type Begun,
  type ShorterList,
} from './begin-in-place.js';
import { filledClusters } from './filled.js';
import { literalsInPlace, tablesInPlace } from './in-place-writes.js';
import { Ledger, OutOfClusters } from './ledger.js';
import { countNewTables } from './new-tables.js';
import { countL2Tables, flaggedTables, placeTables, relocatedL1 } from './place.js';
import { placeRefcounts } from './place-refcounts.js';
import { refuseUnfit } from './refuse.js';
import { tablesToCopy } from './tables-to-copy.js';
import { assembled, headerWrite, type Staged } from './stages.js';
import { surveyEdit, type EditRequest, type SurveyedEdit } from './survey.js';
import { blockContent, touchedBlocks } from './unlist.js';

/**
 * Plans to drop snapshots on a medium without room for new copies of all tables that change. First one write makes the
 * list shorter. From then on the clusters that only the dropped snapshots had are free for new tables, and a second
 * write switches to these. If that room is too small, refcounts and then COPIED flags are changed where they lie.
 *
 * @throws QsnapError what `planEdit` throws; NO_SPACE where a new snapshot table is needed and has no room.
 */
export async function planInPlace<Source extends BlockSource>(
  image: OpenImage<Source>,
  request: EditRequest<ShorterList>,
  { signal }: Stoppable = {},
): Promise<StagedEdit<Source>> {
  refuseUnfit(image);
  const surveyed = await surveyEdit(stoppableImage(image, signal, 'the planning'), request);
  const freeBytes = (await image.source.freeBytes?.()) ?? Infinity;
  const staged =
    (await switchToNewTables(surveyed, freeBytes)) ?? (await changeInPlace(surveyed, freeBytes));
  const { summary, created } = request;
  return bound({ ...staged, summary, created, operation: 'delete' }, image);
}

/**
 * Places new copies in clusters that nothing refers to after the deletion. Any of these clusters may be a hole of the
 * file, so a disk without room for all of the writes takes only clusters that surely have none (`filledClusters`).
 *
 * @returns undefined where the clusters don't suffice.
 */
async function switchToNewTables(
  surveyed: SurveyedEdit<ShorterList>,
  freeBytes: number,
): Promise<Staged | undefined> {
  const { source, geometry } = surveyed.image;
  const within = (roomOf: RoomOf): Promise<Staged | undefined> =>
    switchWithin(surveyed, freeBytes, roomOf);
  const staged = (await within(releasedClusters)) ?? (await within(usableClusters));
  if (staged === undefined) return undefined;
  const bytes = writtenBytes(staged);
  if (bytes <= freeBytes) return staged;
  const wanted = Math.ceil(bytes / geometry.clusterBytes);
  return within((begun) => {
    return filledClusters(source, usableClusters(begun), geometry.clusterBytes, wanted);
  });
}

function writtenBytes({ stages }: Staged): number {
  return shadowBytesOf(stages.flatMap(({ writes }) => writes));
}

type RoomOf = (begun: Begun) => ClusterSet | Promise<ClusterSet>;

/** New copies go to such clusters; undefined: they are too few. */
async function switchWithin(
  surveyed: SurveyedEdit<ShorterList>,
  freeBytes: number,
  roomOf: RoomOf,
): Promise<Staged | undefined> {
  const begun = await begin(surveyed, freeBytes);
  const { edit, unlisting } = begun;
  const { image, format, refcountBlocks, counts } = edit;
  const ledger = new Ledger(image, counts, await roomOf(begun), format.fileClusters, false);
  try {
    const copied = await tablesToCopy(edit, edit.moves.any);
    const tables = { copied, added: countNewTables(edit, ledger) };
    const placed = placeTables(edit, tables, ledger, unlisting.table);
    const before = { table: image.header.refcountTable, blocks: refcountBlocks };
    const refcountTable = placeRefcounts(image.geometry, before, ledger);
    ledger.seal();
    const writes = [...unlisting.tidy, ...ledger.writes];
    const fields = { activeL1: placed.activeL1, refcountTable };
    const stages = [
      { what: 'write new tables to where nothing is any more', writes },
      { what: 'switch to them with one write', writes: [headerWrite(begun, fields)] },
    ];
    return assembled(begun, stages, false);
  } catch (error) {
    if (error instanceof OutOfClusters) return undefined;
    throw error;
  }
}

/** Refcounts are lowered first, and flags set when that is durable. */
async function changeInPlace(
  surveyed: SurveyedEdit<ShorterList>,
  freeBytes: number,
): Promise<Staged> {
  const begun = await begin(surveyed, freeBytes);
  const { edit, ledger, unlisting } = begun;
  const flagged = await tablesToCopy(edit, edit.moves.any);
  countL2Tables(edit, [], new Float64Array(0), ledger);
  ledger.seal();
  const blocks = touchedBlocks(edit);
  const refcounts = await tablesInPlace(edit.image.source, {
    what: 'refcount blocks',
    tableBytes: edit.image.geometry.clusterBytes,
    places: Float64Array.from(blocks, ({ at }) => at),
    content: blockContent(edit, blocks),
  });
  const flags = await flagWrites(edit, flagged);
  const lower = {
    what: 'lower the refcounts where they lie',
    writes: [...unlisting.tidy, ...refcounts],
  };
  if (flags.length === 0) return assembled(begun, [lower], false);
  const set = { what: 'set the flags of what is no longer shared', writes: flags };
  return assembled(begun, [lower, set], true);
}

/** The active L1 and those L2 tables with their COPIED flags by the new refcounts, where they lie. */
async function flagWrites(
  edit: AuditedEdit<ShorterList>,
  flagged: readonly number[],
): Promise<readonly ShadowWrite[]> {
  const { image, next, tally, counts, activeL1 } = edit;
  const { clusterBytes } = image.geometry;
  const places = Float64Array.from(flagged, (index) => tally.offsets[index]!);
  const words = relocatedL1(
    next.activeL1,
    (offset) => offset,
    (offset) => counts.get(offset / clusterBytes) === 1,
  );
  const { at } = image.header.activeL1;
  const l2s = await tablesInPlace(image.source, {
    what: 'L2 tables',
    tableBytes: clusterBytes,
    places,
    content: flaggedTables(edit, flagged),
  });
  const before = bytesOfWords(activeL1);
  return [...l2s, ...literalsInPlace('active L1', at, before, bytesOfWords(words))];
}
