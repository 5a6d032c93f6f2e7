import type { OpenImage } from '../../image/image.js';
import { keptSnapshots, type NextState } from '../plan/next-state.js';
import { surveyEdit, type SurveyedEdit } from '../plan/survey.js';

/**
 * The image as it is, as if an edit left everything in place.
 *
 * @throws QsnapError IMAGE_DAMAGED.
 */
export function surveyUnchanged(image: OpenImage): Promise<SurveyedEdit> {
  const next: NextState = {
    diskSizeBytes: image.header.diskSizeBytes,
    activeL1: undefined,
    snapshots: keptSnapshots(image),
  };
  return surveyEdit(image, { next: () => next });
}
