import { audit, type AuditedEdit } from './audit.js';
import { clustersToCover } from './clusters-to-cover.js';
import { Ledger, noRoom, OutOfClusters } from './ledger.js';
import { refuseUncountable } from './refuse.js';
import type { SurveyedEdit } from './survey.js';

/** How much larger the ledger gets each time it turned out too small, and how often it may. */
const LEDGER_GROWTH = 16;
const LEDGER_TRIES = 4;

/**
 * Audits the image and finds places for what is new: with a larger ledger each time, where the file may become longer.
 *
 * @throws OutOfClusters where the file stays as long as it is and has not enough free clusters. QsnapError NO_SPACE,
 *   and what the audit and `place` throw.
 */
export async function placeWithin<Placed>(
  edit: SurveyedEdit,
  mayGrow: boolean,
  place: (audited: AuditedEdit, ledger: Ledger) => Promise<Placed>,
): Promise<Placed> {
  const { image, format } = edit;
  for (let attempt = 0; ; attempt++) {
    const clusters = clustersToCover(edit) * LEDGER_GROWTH ** attempt;
    refuseUncountable(clusters, image);
    const audited = await audit(edit, clusters);
    const { counts, free } = audited;
    try {
      return await place(audited, new Ledger(image, counts, free, format.fileClusters, mayGrow));
    } catch (error) {
      if (!(error instanceof OutOfClusters) || !mayGrow) throw error;
      if (attempt === LEDGER_TRIES) throw noRoom(error.clusters * image.geometry.clusterBytes);
    }
  }
}
