import { isQsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';
import type { Failure, ImageRecord } from './record.js';

/** A record without anything of an image. */
export const NOTHING = {
  stamp: undefined,
  modifiedAt: undefined,
  facts: undefined,
  space: undefined,
  disks: [],
  shares: [],
  findings: [],
  findingsLeftOut: 0,
  unmeasured: undefined,
  failure: undefined,
  isGone: false,
  unhashed: undefined,
} as const satisfies ImageRecord;

/** The record of an image that could not be read. */
export function failedRecord(code: string, message: string, isGone = false): ImageRecord {
  return { ...NOTHING, failure: { code, message }, isGone };
}

/** Readings of an image that changes meanwhile; after them it is told that it does. */
export const TRIES_MAX = 3;

/** The record of an image that changed during each of them. */
export function changedRecord(): ImageRecord {
  return failedRecord('IMAGE_CHANGED', `it changed during each of ${TRIES_MAX} readings`);
}

/** The record of an image whose reading threw this. @throws what is no fault of the image. */
export function failedBy(error: unknown): ImageRecord {
  const { code, message } = failureOf(error);
  return failedRecord(code, message, isMissing(error));
}

/** Why an image could not be read. @throws what is no fault of the image. */
export function failureOf(error: unknown): Failure {
  if (isQsnapError(error)) return { code: error.code, message: printableText(error.message) };
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return { code: 'OPEN_FAILED', message: printableText(error.message) };
  }
  throw error;
}

/** A file that nobody finds; a server may tell the same of what one must not see. */
function isMissing(error: unknown): boolean {
  const reason = isQsnapError(error) ? error.cause : error;
  return (
    reason instanceof Error &&
    'code' in reason &&
    (reason.code === 'ENOENT' || reason.code === 'ENOTDIR')
  );
}
