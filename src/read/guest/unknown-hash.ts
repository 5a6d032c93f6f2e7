import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';

/** The refusal of a hash that a platform has not. */
export function unknownHash(hash: string, cause?: unknown): QsnapError {
  return new QsnapError(
    'UNSUPPORTED_ENCRYPTION',
    `the hash "${printableText(hash)}" is not known here`,
    { structure: 'encryption header', actual: hash },
    cause,
  );
}
