import { hinted } from '../../base/hints.js';
import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { partOf } from '../../read/check/cut-off.js';
import type { CheckReport } from '../../read/check/report.js';
import { QsnapError } from '../../errors.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import { HEADER_V2, HEADER_V3 } from '../../qcow2/spec.js';
import type { DescribedPlan } from '../tx/plan.js';
import { choseClass, choseFinding, type RepairChoice } from './choice.js';

/**
 * Refuses an image in which no repair can tell what it would lose.
 *
 * @throws QsnapError REPAIR_REFUSED, EXTERNAL_DATA_FILE.
 */
export function refuseUnmendable(
  { image, pointer, listed, bitmapsProblem }: CheckedImage,
  choice: RepairChoice,
): void {
  const dropped = new Set(choice.dropSnapshots);
  if (image.header.externalDataFile && !image.snapshots.every(({ index }) => dropped.has(index))) {
    throw new QsnapError(
      'EXTERNAL_DATA_FILE',
      'the image keeps its data in an external data file, and has snapshots, which hold none of it',
      {
        structure: 'header',
        at: HEADER_V3.incompatible.at,
        ...hinted('drop-snapshots'),
        imageState: 'unchanged',
      },
    );
  }
  const { at, entries } = image.header.activeL1;
  if (at === 0 && entries > 0 && choice.emptyL1s?.includes('active') !== true) throw l1OverHeader();
  if (bitmapsProblem !== undefined && choice.dropBitmaps !== true) {
    throw bitmapsProblem.with({
      ...hinted('drop-bitmaps'),
      imageState: 'unchanged',
    });
  }
  const isWhole = pointer.problem === undefined && listed.stop === undefined;
  if (isWhole || choice.dropUnreadSnapshots === true) return;
  const read = listed.snapshots.length;
  throw new QsnapError(
    'REPAIR_REFUSED',
    `only ${read} of ${counted(pointer.claimed, 'snapshot')} can be read, so nobody knows which ` +
      'clusters the others hold',
    {
      structure: 'snapshot table',
      at: listed.stop?.at ?? HEADER_V2.snapshotTableAt.at,
      ...hinted('drop-unread-snapshots'),
      imageState: 'unchanged',
    },
  );
}

/** The header's bytes would be read as L1 entries, and no class of repairs can mend those. */
function l1OverHeader(): QsnapError {
  return new QsnapError(
    'REPAIR_REFUSED',
    'the header says that the active L1 lies over the header, so nobody knows where the disk is',
    {
      structure: 'header',
      at: HEADER_V2.l1At.at,
      ...hinted('empty-active-l1'),
      imageState: 'unchanged',
    },
  );
}

/** So many entries name places behind the end of the file that no place is left for new copies. */
export function tooManyUnreadable(): QsnapError {
  return new QsnapError(
    'REPAIR_REFUSED',
    'too many entries name places behind the end of the file, where new copies would have to go',
    {
      structure: 'L2 table',
      hint: 'look for a complete copy of the file, or repair the class unreadable too',
      imageState: 'unchanged',
    },
  );
}

/** The file would grow over a place that an entry names, which would then read as zeros. */
export function wouldCover(at: number): QsnapError {
  return new QsnapError(
    'REPAIR_REFUSED',
    `the file would get longer than ${hex(at)}, where something lies that the file does not have, and ` +
      'show zeros for it',
    {
      structure: 'file',
      at,
      ...hinted('give-up-unreadable'),
      imageState: 'unchanged',
    },
  );
}

/** The lost kinds of a file that was cut off which the class `unreadable` gives up. */
const GIVEN_UP_BY_UNREADABLE: readonly string[] = ['L2 tables', 'guest data'];
/** The entry that names it is right, so that no class gives it up: only FILE_CUT_OFF by name does. */
const PART_OF_DATA = partOf('guest data');
const OF_REFCOUNTS: readonly string[] = ['refcount-table', 'refcount-block', 'refcount blocks'];

/**
 * Refuses to make a file longer that was cut off. The lost bytes would then be inside the file, as zeros, and
 * nobody could tell them from zeros that a guest wrote.
 *
 * @throws QsnapError REPAIR_REFUSED.
 */
export function refuseCutOff(before: CheckReport, choice: RepairChoice, plan: DescribedPlan): void {
  if (plan.facts.growthBytes === 0) return;
  const isGivenUp = (what: string): boolean =>
    OF_REFCOUNTS.includes(what) ||
    (choseClass(choice, 'unreadable') && GIVEN_UP_BY_UNREADABLE.includes(what)) ||
    (what === PART_OF_DATA && choseFinding(choice, ['FILE_CUT_OFF'], plan.fileSizeBytes)) ||
    (what === 'active-l1' && (choice.emptyL1s ?? []).includes('active')) ||
    (what === 'inactive-l1' && (choice.emptyL1s ?? []).some((one) => one !== 'active')) ||
    (what === 'snapshot-table' && choice.dropUnreadSnapshots === true) ||
    (what.startsWith('bitmap') && choice.dropBitmaps === true);
  const kept = before.cutOff.filter((what) => !isGivenUp(what));
  if (kept.length === 0) return;
  throw new QsnapError(
    'REPAIR_REFUSED',
    `the file was cut off (${kept.join(', ')}), and a longer file would show zeros for what is missing`,
    {
      structure: 'file',
      at: plan.fileSizeBytes,
      ...hinted('give-up-cut-off'),
      imageState: 'unchanged',
    },
  );
}
