import { checkLate } from '../../read/check/late-check.js';
import type { Finding } from '../../read/check/finding.js';
import type { CheckReport } from '../../read/check/report.js';
import { behindDiskText, findBehindDisk } from '../../image/behind-disk.js';
import { damaged } from '../../image/damage.js';
import type { Counts } from '../../refcount/counts.js';
import { regionClusters } from '../../refs/regions.js';

import { MENDED_FINDINGS } from './mends.js';
import type { SurveyedEdit } from './survey.js';

/** What an audit found that this goes by. */
export interface Audited {
  /** The stored refcounts. */
  readonly counts: Counts;
  readonly leakedClusters: number;
}

/**
 * Refuses an image of which a part is lost. An edit would not harm what is left, but it would make the loss
 * look like what a guest wrote. Only what may hide a loss costs a whole check: leaks, and guest data in the
 * cluster that the file ends in.
 *
 * @throws QsnapError IMAGE_DAMAGED with the first finding that says what is lost.
 */
export async function refuseLosses(edit: SurveyedEdit & Audited): Promise<void> {
  const { image, leakedClusters } = edit;
  const [behind] = await findBehindDisk(image);
  if (behind !== undefined) {
    const { structure, at } = behind;
    throw damaged({ structure, at, message: behindDiskText(behind) });
  }
  if (leakedClusters === 0 && !endsInsideData(edit)) return;
  const report = await checkLate(image.source, { owners: false });
  const loss = report.findings.find(isLoss);
  if (loss === undefined && !losesMore(report)) return;
  const { structure, at, message, remedy } = loss ?? report.findings[0]!;
  const isPerhaps = remedy === 'perhaps-lost';
  throw damaged({ structure, at, message, ...(isPerhaps && { hintCode: 'give-up-perhaps-lost' }) });
}

/** Whether a finding says that something is lost, or may be. */
export const isLoss = ({ severity, remedy, code }: Finding): boolean =>
  (severity === 'corruption' && !MENDED_FINDINGS.has(code)) || remedy === 'perhaps-lost';

/** Whether there is a loss of which nothing is told, since so much else was found. */
function losesMore({ exitCode, beyondQemu, ownersHidden, totals }: CheckReport): boolean {
  return exitCode === 1 || beyondQemu.corruptions > 0 || (ownersHidden && totals.leaks > 0);
}

/** Whether something may need more of the last cluster than the file has of it. */
function endsInsideData({ image, format, regions, counts }: SurveyedEdit & Audited): boolean {
  const { clusterBytes } = image.geometry;
  if (image.fileSizeBytes % clusterBytes === 0) return false;
  const last = format.fileClusters - 1;
  const isRegion = regions.some((region) => {
    const [first, end] = regionClusters(region, clusterBytes);
    return first <= last && last < end && region.at + region.bytes <= image.fileSizeBytes;
  });
  return !isRegion && counts.get(last) > 0;
}
