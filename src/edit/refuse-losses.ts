import { checkImage } from '../check/check-image.js';
import type { Finding } from '../check/finding.js';
import { damaged } from '../image/damage.js';
import { regionClusters } from '../image/regions.js';
import type { Audit } from './audit.js';
import type { Survey } from './survey.js';

/**
 * Refuses an image of which a part is lost. An edit would not harm what is left, but it would make the loss
 * look like what a guest wrote. Only what may hide a loss costs a whole check: leaks, and guest data in the
 * cluster that the file ends in.
 *
 * @throws QsnapError IMAGE_DAMAGED with the first finding that says what is lost.
 */
export async function refuseLosses(surveyed: Survey, audited: Audit): Promise<void> {
  if (audited.leakedClusters === 0 && !endsInsideData(surveyed, audited)) return;
  const { exitCode, findings } = await checkImage(surveyed.image.source, { owners: false });
  if (exitCode === 0 || exitCode === 3) return;
  const { structure, at, message } = findings.find(isLoss) ?? findings[0]!;
  throw damaged({ structure, at, message });
}

const isLoss = ({ severity, remedy }: Finding): boolean =>
  severity === 'corruption' || remedy === 'perhaps-lost';

/** Whether something may need more of the last cluster than the file has of it. */
function endsInsideData({ image, format, regions }: Survey, { counts }: Audit): boolean {
  const { clusterBytes } = image.geometry;
  if (image.fileSizeBytes % clusterBytes === 0) return false;
  const last = format.fileClusters - 1;
  const isRegion = regions.some((region) => {
    const [first, end] = regionClusters(region, clusterBytes);
    return first <= last && last < end && region.at + region.bytes <= image.fileSizeBytes;
  });
  return !isRegion && counts.get(last) > 0;
}
