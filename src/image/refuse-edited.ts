import { QsnapError } from '../errors.js';
import { editsBegun } from '../io/edits.js';
import type { OpenImage } from './image.js';

/**
 * Refuses an image that was opened before an edit through the same device. The edit may have moved its tables, and their
 * old clusters may hold anything by now.
 *
 * @throws QsnapError IMAGE_CHANGED.
 */
export function refuseEdited({
  source,
  editsBefore,
}: Pick<OpenImage, 'source' | 'editsBefore'>): void {
  if (editsBegun(source) === editsBefore) return;
  throw new QsnapError('IMAGE_CHANGED', 'the image was edited after it was opened', {
    file: source.label,
    expected: 'an image that was opened after the last edit',
    hint: 'open the image again: the edit may have moved all that was read of it',
  });
}
