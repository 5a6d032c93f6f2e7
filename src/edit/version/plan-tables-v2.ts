import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { offsetOf } from '../../l1l2/entry.js';
import { noRoom, OutOfClusters } from '../plan/ledger.js';
import { keptSnapshots, type NextState } from '../plan/next-state.js';
import type { PlacedEdit } from '../plan/plan-of.js';
import { refuseNewDoubts } from '../plan/refuse-new-doubts.js';
import { surveyEdit, type Survey, type SurveyedEdit } from '../plan/survey.js';
import { placeWithin } from '../plan/within-ledger.js';
import { findZeros, type ZeroTable, type Zeros } from './find-zeros.js';
import { placeWithoutZeros } from './place-without-zeros.js';
import { refuseCompressed, refuseDowngrade } from './refuse-downgrade.js';

/**
 * The tables of the image without flags for zeros.
 *
 * @returns undefined where none has any.
 * @throws QsnapError DOWNGRADE_REFUSED, BITMAPS_PRESENT, ENCRYPTED, and what `planEdit` throws of the image.
 */
export async function planTablesOfV2(
  image: OpenImage,
  { signal }: Stoppable,
): Promise<PlacedEdit | undefined> {
  refuseDowngrade(image);
  let zeros: Zeros | undefined;
  const survey = await surveyEdit(stoppableImage(image, signal, 'the planning'), {
    l1sOf: image.snapshots,
    next: async (survey) => {
      zeros = await findZeros(survey.image, survey.pointers.offsets);
      return withoutZeros(survey, zeros.tables);
    },
  });
  const { tables, anyCompressed } = zeros!;
  if (anyCompressed) refuseCompressed(image);
  if (tables.length === 0) return undefined;
  refuseEncrypted(image);
  const placed = await placeAll(survey, tables, image.mayGrow);
  await refuseNewDoubts(survey.image, placed);
  return placed;
}

/** @throws QsnapError NO_SPACE with how much longer a medium of fixed length ought to be. */
async function placeAll(
  edit: SurveyedEdit,
  tables: readonly ZeroTable[],
  mayGrow: boolean,
): Promise<PlacedEdit> {
  const place = (isLonger: boolean): Promise<PlacedEdit> =>
    placeWithin(edit, isLonger, (audited, ledger) => placeWithoutZeros(audited, tables, ledger));
  try {
    return await place(mayGrow);
  } catch (error) {
    if (!(error instanceof OutOfClusters)) throw error;
    throw noRoom((await place(true)).facts.growthBytes);
  }
}

/** The same disks; each that leads to a table with zeros gets a new L1. */
function withoutZeros(
  { image, pointers, activeL1, snapshotL1s }: Survey,
  tables: readonly ZeroTable[],
): NextState {
  const rewritten = new Set(tables.map(({ index }) => pointers.offsets[index]!));
  const entries = tables.reduce((sum, table) => sum + table.entries, 0);
  const isBacked = image.backingNameBytes !== undefined && entries > 0;
  return {
    diskSizeBytes: image.header.diskSizeBytes,
    activeL1: tables.length > 0 ? activeL1 : undefined,
    snapshots: keptSnapshots(image).map((kept, index) => {
      const words = snapshotL1s.get(image.snapshots[index]!)!;
      return leadsTo(words, rewritten) ? { ...kept, l1: { kind: 'new', words } } : kept;
    }),
    newData: isBacked ? { clusters: entries, first: undefined, written: false } : undefined,
  };
}

function leadsTo(words: Uint32Array, tables: ReadonlySet<number>): boolean {
  for (let i = 0; i < words.length; i += 2) {
    if (tables.has(offsetOf(words[i]!, words[i + 1]!))) return true;
  }
  return false;
}

/** Zeros that lie in a cluster would be read as what they decrypt to. */
function refuseEncrypted(image: OpenImage): void {
  if (image.header.encryption === 'none' || image.backingNameBytes === undefined) return;
  throw new QsnapError(
    'ENCRYPTED',
    'version 2 has no flag for zeros, and an encrypted image over a backing file would need clusters ' +
      'that decrypt to them',
    { file: image.source.label, hint: 'rebase the image onto nothing first' },
  );
}
