import { QsnapError } from '../errors.js';
import { hinted } from './hints.js';

/**
 * States what our own code must have ensured. A failure is a bug of qsnap, never of an image.
 *
 * @throws QsnapError INTERNAL.
 */
export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) {
    throw new QsnapError('INTERNAL', `qsnap broke its own rule: ${claim}`, hinted('report-bug'));
  }
}
