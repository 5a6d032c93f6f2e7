import type { ImageRecord } from './record.js';

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
} as const satisfies ImageRecord;

/** The record of an image that could not be read. */
export function failedRecord(code: string, message: string, isGone = false): ImageRecord {
  return { ...NOTHING, failure: { code, message }, isGone };
}
