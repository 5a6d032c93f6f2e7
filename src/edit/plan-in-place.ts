import { hostOffset } from '../base/units.js';
import { bytesOfWords, storedWords } from '../base/words.js';
import type { Image } from '../image/image.js';
import { BlockGroups } from '../refcount/block-groups.js';
import type { ClusterSet } from '../refcount/cluster-set.js';
import type { ShadowWrite, TableWrites } from '../tx/plan.js';
import { assertSafeStages } from '../tx/rules.js';
import type { StagedEdit } from '../tx/staged-plan.js';
import {
  begin,
  usableClusters,
  vacatedClusters,
  type Begun,
  type ShorterList,
} from './begin-in-place.js';
import { Ledger, OutOfClusters } from './ledger.js';
import { countNewTables } from './new-tables.js';
import { countL2Tables, l2Writes, placeTables, relocatedL1, sameWords } from './place.js';
import { placeRefcounts } from './place-refcounts.js';
import { refuseUnfit } from './refuse.js';
import { tablesToCopy } from './retarget.js';
import { assembled, headerWrite, type Staged } from './stages.js';
import { survey, type Survey } from './survey.js';
import { touchedBlocks } from './unlist.js';

/**
 * Plans to drop snapshots where there is no room for new copies of all tables that change. First the
 * list is made shorter, by one write; from then on nothing refers to what only the dropped snapshots
 * had, so that the new tables find room there, and a second write switches to them. Where even that
 * room does not do, refcounts and then COPIED flags are changed where they lie.
 *
 * @throws QsnapError what `planEdit` throws; NO_SPACE where a new snapshot table is needed and has no room.
 */
export async function planInPlace(
  image: Image,
  next: ShorterList,
  about: Pick<StagedEdit, 'summary' | 'created'>,
): Promise<StagedEdit> {
  refuseUnfit(image);
  const from = await survey(image, next);
  const edit =
    (await switchWithin(from, next, vacatedClusters)) ??
    (await asFarAsHolesCanBeFilled(image, await switchWithin(from, next, usableClusters))) ??
    (await changeInPlace(from, next));
  assertSafeStages(edit);
  return { ...edit, ...about, operation: 'delete' };
}

/** New copies go to clusters that nothing refers to any more; undefined: they are too few. */
async function switchWithin(
  surveyed: Survey,
  next: ShorterList,
  roomOf: (begun: Begun) => ClusterSet,
): Promise<Staged | undefined> {
  const begun = await begin(surveyed, next);
  const { from, audited, unlisting } = begun;
  const { image, format, refcountBlocks } = from;
  const { counts } = audited;
  const ledger = new Ledger(image, counts, roomOf(begun), format.fileClusters, false);
  try {
    const copied = await tablesToCopy(from, audited, ledger, audited.moves.any);
    const tables = { copied, added: countNewTables(from, next, audited, ledger) };
    const placed = placeTables(from, next, audited, tables, ledger, unlisting.table);
    const before = { table: image.header.refcountTable, blocks: refcountBlocks };
    const refcounts = placeRefcounts(image.geometry, before, ledger);
    const writes = [...unlisting.tidy, ...placed.shadow, ...refcounts.writes];
    const fields = {
      activeL1: placed.activeL1,
      refcountTable: { ...refcounts.table, at: hostOffset(refcounts.table.at) },
    };
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

/** Free clusters may be holes of the file: on a full disk nothing can be written there. */
async function asFarAsHolesCanBeFilled(
  { source }: Image,
  edit: Staged | undefined,
): Promise<Staged | undefined> {
  if (edit === undefined) return undefined;
  const freeBytes = (await source.freeBytes?.()) ?? Infinity;
  return edit.facts.shadowBytes <= freeBytes ? edit : undefined;
}

/** Refcounts are lowered first, and flags set when that is durable. */
async function changeInPlace(surveyed: Survey, next: ShorterList): Promise<Staged> {
  const begun = await begin(surveyed, next);
  const { from, audited, ledger, unlisting } = begun;
  const { clusterBytes, refcountBits, refcountBlockEntries } = from.image.geometry;
  const flagged = await tablesToCopy(from, audited, ledger, audited.moves.any);
  countL2Tables(from, [], new Float64Array(0), ledger);
  const blocks = touchedBlocks(from, ledger);
  const groups = new BlockGroups(refcountBits);
  const refcounts: TableWrites = {
    kind: 'tables',
    what: 'refcount blocks',
    tableBytes: clusterBytes,
    targets: Float64Array.from(blocks, ({ at }) => at),
    sources: undefined,
    fill: (i, table) => {
      const firstWord = (blocks[i]!.block * refcountBlockEntries) / 32;
      groups.encodeBlock(ledger.counts, firstWord, storedWords(table));
    },
  };
  const flags = flagWrites(begun, flagged);
  const lower = {
    what: 'lower the refcounts where they lie',
    writes: [...unlisting.tidy, refcounts],
  };
  if (flags.length === 0) return assembled(begun, [lower], false);
  const set = { what: 'set the flags of what is no longer shared', writes: flags };
  return assembled(begun, [lower, set], true);
}

/** The active L1 and those L2 tables with their COPIED flags by the new refcounts, where they lie. */
function flagWrites(
  { from, next, audited, ledger }: Begun,
  flagged: readonly number[],
): ShadowWrite[] {
  const { clusterBytes } = from.image.geometry;
  const places = Float64Array.from(flagged, (index) => from.tally.offsets[index]!);
  const words = relocatedL1(
    next.activeL1,
    (offset) => offset,
    (offset) => ledger.counts.get(offset / clusterBytes) === 1,
  );
  const { at } = from.image.header.activeL1;
  const l1: ShadowWrite = { kind: 'literal', what: 'active L1', at, bytes: bytesOfWords(words) };
  return [
    ...(flagged.length === 0 ? [] : [l2Writes(from, audited, flagged, places, ledger)]),
    ...(sameWords(words, from.activeL1) ? [] : [l1]),
  ];
}
