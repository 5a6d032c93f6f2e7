import { QsnapError } from '../errors.js';

/**
 * States what our own code must have ensured. A failure is a bug of qsnap, never of an image.
 *
 * @throws QsnapError INTERNAL.
 */
export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) {
    throw new QsnapError('INTERNAL', `qsnap broke its own rule: ${claim}`, {
      hint: 'please report it together with the command and `qsnap info --json` of the image',
    });
  }
}
