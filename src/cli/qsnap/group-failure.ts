import { isQsnapError, type ImageState } from '../../index.js';
import { printJson, type Context } from './context.js';
import { errorJson, reportFailure } from './report.js';

/** What the last line after a failed edit of a group says. docs/cli.md has the same table. */
export const GROUP_SENTENCES: Record<Exclude<ImageState, 'new-list'>, string> = {
  unchanged: 'All images of the group are unchanged.',
  old: 'All images have their old state and are sound; the files may have been written to where they are free.',
  'old-or-new':
    'Each image has its old state or the new one, whole in either case: look which with `qsnap list --group`.',
  new: 'All images have their new state: what failed came after the edit was complete.',
};

/**
 * Prints the failure of a group edit, and what has become of all images.
 *
 * @param first an image of the group, for an error that is about none of them.
 * @throws what it is given, if that is no error of the engine.
 */
export function reportGroupFailure(error: unknown, first: string, context: Context): void {
  const file = isQsnapError(error) ? error.details.file : undefined;
  reportFailure(error, file ?? first, 'read', context);
  const { imageState = 'unchanged' } = error.details;
  // No edit of a group is made in stages.
  const state = imageState === 'new-list' ? 'old-or-new' : imageState;
  context.io.stderr.write(`${GROUP_SENTENCES[state]}\n`);
  if (context.json) printJson(context, { error: errorJson(error, 'edit') });
}
