import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import type { AuditedEdit } from '../plan/audit.js';
import { OutOfClusters, type Ledger } from '../plan/ledger.js';
import type { PlacedEdit } from '../plan/plan-of.js';
import { refuseUnfit } from '../plan/refuse.js';
import type { SurveyedEdit } from '../plan/survey.js';
import { placeWithin } from '../plan/within-ledger.js';
import { bound, type EditPlan } from '../tx/plan.js';
import { chooseStep } from './choose-step.js';
import { canMove } from './immovable.js';
import { placeStep } from './place-step.js';
import { surveyUnchanged } from './unchanged.js';
import { lastUsed } from './used-end.js';

/** Clusters that one step moves at most, whatever their size: what is known of each lies in memory. */
const CLUSTERS_MAX = 65_536;

/** One step of making a file shorter. */
export interface RelocationPlan<Source extends BlockSource = BlockSource> extends EditPlan<Source> {
  /** Guest data and VM states that it moves, in whole clusters. */
  readonly movedBytes: number;
}

/**
 * Plans one step of making a file shorter: what lies at its end moves into free clusters in front, by shadow and switch
 * as in any edit. The tables that lead there are written anew. Guest data, VM states and tables move; the header, the
 * key of an encrypted image and bitmaps stay.
 *
 * ```ts
 * const plan = await planRelocation(await openImage(device), 2 ** 29);
 * if (plan !== undefined) await executePlan(plan);
 * ```
 *
 * @param stepBytes how much the step moves at most.
 * @returns undefined where nothing more can be gained.
 * @throws QsnapError ENCRYPTED where clusters are encrypted by their place; what `planCreate` throws of the image.
 */
export async function planRelocation<Source extends BlockSource>(
  image: OpenImage<Source>,
  stepBytes: number,
  { signal }: Stoppable = {},
): Promise<RelocationPlan<Source> | undefined> {
  refuseUnfit(image);
  refuseFixedPlaces(image);
  // Where the file can't get shorter, nothing is gained.
  if (image.source.growable === false) return undefined;
  const edit = await surveyUnchanged(stoppableImage(image, signal, 'the planning'));
  const { clusterBytes } = image.geometry;
  const most = Math.max(1, Math.min(CLUSTERS_MAX, Math.floor(stepBytes / clusterBytes)));
  const placed = await placeFewer(edit, most);
  if (placed === undefined) return undefined;
  const summary = `move ${placed.movedBytes} bytes to the front of the file`;
  return bound({ ...placed, operation: 'relocate', summary, created: [] }, image);
}

/**
 * Refuses an image whose data can't move.
 *
 * @throws QsnapError ENCRYPTED: LUKS numbers the sectors by their place in the file.
 */
export function refuseFixedPlaces(image: OpenImage): void {
  if (canMove(image)) return;
  throw new QsnapError('ENCRYPTED', 'clusters with LUKS are encrypted by their place, and stay', {
    file: image.source.label,
    actual: 'luks',
    hint: 'trim without moving anything, or make a compact copy with the passphrase',
  });
}

type Relocated = PlacedEdit & Pick<RelocationPlan, 'movedBytes'>;

/** Moves fewer clusters where those chosen find no room after all: each step makes the file shorter, or there is none. */
async function placeFewer(edit: SurveyedEdit, most: number): Promise<Relocated | undefined> {
  for (let wanted = most, chosen = most; wanted > 0; wanted = fewerThan(chosen)) {
    try {
      return await placeWithin(edit, false, (audited, ledger) => {
        return placeFar(audited, ledger, wanted, (clusters) => {
          chosen = Math.min(wanted, clusters);
        });
      });
    } catch (error) {
      if (!(error instanceof OutOfClusters)) throw error;
    }
  }
  return undefined;
}

const fewerThan = (clusters: number): number => (clusters <= 1 ? 0 : Math.ceil(clusters / 4));

/** @throws OutOfClusters where the file would not become shorter. */
async function placeFar(
  audited: AuditedEdit,
  ledger: Ledger,
  most: number,
  tell: (clusters: number) => void,
): Promise<Relocated | undefined> {
  const { image, counts, format } = audited;
  const end = lastUsed(counts, format.fileClusters);
  const step = await chooseStep(audited, most);
  if (step === undefined) return undefined;
  const { length } = step.pairs.copies;
  tell(length);
  const placed = await placeStep(audited, step, ledger);
  if (lastUsed(counts, counts.clusters) >= end) throw new OutOfClusters(1);
  return { ...placed, movedBytes: length * image.geometry.clusterBytes };
}
