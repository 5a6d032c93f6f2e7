import { hex } from '../../base/words.js';
import { damaged } from '../../image/damage.js';
import { tableFormat } from '../../image/table-format.js';
import type { OpenImage } from '../../image/image.js';
import { checkL1Table } from '../../refs/l1-tables.js';
import { readSoundRefcountTable } from '../../refs/sound-refcounts.js';
import { claimRegions, metadataRegions, type Region } from '../../refs/regions.js';
import type { TableFormat } from '../../l1l2/entry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { Pointers } from '../../refs/pointers.js';
import { disksOf, walkL1Tables } from '../../refs/walk.js';
import type { DescribedPlan } from '../tx/plan.js';
import type { Ledger } from './ledger.js';
import type { NextState } from './next-state.js';
import type { OtherFirstSector } from './other-first-sector.js';
import { editTallyOf, type EditTally } from './tally.js';

/** The image's tables above the L2 level. L1 tables are host-order words. */
export interface Survey {
  readonly image: OpenImage;
  readonly format: TableFormat;
  readonly regions: readonly Region[];
  /** Host offsets of refcount blocks by index; 0 where none is. */
  readonly refcountBlocks: Float64Array;
  /** Which L1 tables point at which L2 tables. */
  readonly pointers: Pointers;
  readonly activeL1: Uint32Array;
  /** The L1 tables of the snapshots that were asked for. */
  readonly snapshotL1s: ReadonlyMap<Snapshot, Uint32Array>;
}

/** What an edit is called, and the new state that it wants of what a survey found. */
export interface EditRequest<Next extends NextState = NextState> extends Pick<
  DescribedPlan,
  'operation' | 'summary' | 'created'
> {
  /** Whose L1 tables `next` needs, besides the active one. */
  readonly l1sOf?: readonly Snapshot[];
  readonly next: (survey: Survey) => Next | Promise<Next>;
  /** Places what only this edit knows of, and gives the first sector that leads to it. */
  readonly placeMore?: (ledger: Ledger) => Promise<OtherFirstSector>;
}

/** An edit of which the old and the new state are known, and how pointers to L2 tables change between them. */
export interface SurveyedEdit<Next extends NextState = NextState> extends Survey {
  readonly next: Next;
  readonly tally: EditTally;
}

/**
 * Reads the tables above the L2 level and asks what is to become of them.
 *
 * @throws QsnapError IMAGE_DAMAGED, and what the request throws.
 */
export async function surveyEdit<Next extends NextState>(
  image: OpenImage,
  request: Pick<EditRequest<Next>, 'l1sOf' | 'next'>,
): Promise<SurveyedEdit<Next>> {
  const survey = await takeSurvey(image, request.l1sOf ?? []);
  const next = await request.next(survey);
  return { ...survey, next, tally: editTallyOf(survey.pointers, next) };
}

/** Reads the refcount table and all L1 tables and refuses what can't be right in them. */
async function takeSurvey(image: OpenImage, l1sOf: readonly Snapshot[]): Promise<Survey> {
  const format = tableFormat(image);
  const { clusterBytes } = image.geometry;
  const refcountBlocks = await readSoundRefcountTable(image);
  const regions = metadataRegions(image, refcountBlocks);
  const claimed = claimRegions(regions, clusterBytes, format.fileClusters);

  let activeL1: Uint32Array = new Uint32Array(0);
  const wanted = new Set(l1sOf);
  const snapshotL1s = new Map<Snapshot, Uint32Array>();
  const pointers = await walkL1Tables(image, disksOf(image), (disk, words, to) => {
    const { snapshot, l1 } = disk;
    checkL1Table(snapshot === undefined ? 'active-l1' : 'inactive-l1', l1, words, format);
    if (snapshot === undefined) activeL1 = words;
    else if (wanted.has(snapshot)) snapshotL1s.set(snapshot, words);
    to.addTable(disk.number, words);
  });
  for (const offset of pointers.offsets) {
    if (!claimed.has(offset / clusterBytes)) continue;
    throw damaged({
      structure: 'L2 table',
      at: offset,
      message: `an L1 entry points at ${hex(offset)}, where other metadata lies`,
    });
  }
  return { image, format, regions, refcountBlocks, pointers, activeL1, snapshotL1s };
}
