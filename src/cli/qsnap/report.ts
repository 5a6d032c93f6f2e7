import { isQsnapError, type ImageState, type QsnapError } from '../../index.js';
import { printableText } from '../../internal.js';
import { hintOf } from '../hints.js';
import { shownLocation } from '../remote/location.js';
import { oneSafeLine } from '../text.js';
import type { Context } from './context.js';

/** Whether the command that failed was going to change the image, and whether that was sound. */
export type Intent = 'read' | 'edit' | 'repair';

/** What the last line after a failed edit says. docs/cli.md has the same table. */
export const STATE_SENTENCES: Record<ImageState, string> = {
  unchanged: 'The image is unchanged.',
  old: 'The image has its old state and is sound; the file may have been written to where it is free.',
  'old-or-new':
    'The image has its old state or the new one, whole in either case: look which with `qsnap list`.',
  'new-list':
    'The image has its new list of snapshots, and every disk of it is whole; refcounts may be too high and COPIED flags missing.',
  new: 'The image has its new state: what failed came after the edit was complete.',
};

/** The same after a repair or an undo that failed: nothing is said of an image that was not sound. */
export const REPAIR_SENTENCES: Record<ImageState, string> = {
  ...STATE_SENTENCES,
  old: 'The image is what it was, flaws included; the file may have been written to where nothing refers to it.',
  'old-or-new':
    'The image is what it was or what it was to become, whole in either case: `qsnap check` tells which.',
};

/** The state of the image after a failed edit; an error that says nothing came before any write. */
function stateAfter(error: QsnapError): ImageState {
  return error.details.imageState ?? 'unchanged';
}

/** The message with the image's name in front, unless it names the image itself. */
function sentence({ message }: QsnapError, file: string): string {
  const shown = printableText(shownLocation(file));
  return oneSafeLine(message.includes(shown) ? message : `${shown}: ${message}`);
}

/**
 * Prints a failure on stderr: what is wrong, which selectors there are to choose from, what to do
 * about it, and for edits the state of the image.
 *
 * @throws what it is given, if that is no error of the engine.
 */
export function reportFailure(
  error: unknown,
  file: string,
  intent: Intent,
  context: Context,
): asserts error is QsnapError {
  if (!isQsnapError(error)) throw error;
  const prefix = context.errorStyle.error('qsnap:');
  const lines = [`${prefix} ${sentence(error, file)}`];
  for (const candidate of error.details.candidates ?? []) lines.push(`  ${oneSafeLine(candidate)}`);
  const hint = hintOf(error);
  if (hint !== undefined) lines.push(`hint: ${oneSafeLine(hint)}`);
  if (error.kind === 'internal') lines.push(...(error.stack ?? '').split('\n').map(oneSafeLine));
  if (intent === 'edit') lines.push(STATE_SENTENCES[stateAfter(error)]);
  if (intent === 'repair') lines.push(REPAIR_SENTENCES[stateAfter(error)]);
  context.io.stderr.write(`${lines.join('\n')}\n`);
}

/** The same failure for programs. docs/schema/error.json. */
export function errorJson(error: QsnapError, intent: Intent): Record<string, unknown> {
  const { 'hint-code': _, ...json } = error.toJSON();
  const hint = hintOf(error);
  return {
    ...json,
    ...(hint !== undefined && { hint }),
    ...(intent !== 'read' && { 'image-state': stateAfter(error) }),
  };
}
