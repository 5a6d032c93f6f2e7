import type { Snapshot } from '../../qcow2/snapshot-table.js';

/**
 * What is odd about the dates, clocks, ids and names of an image. The codes are stable.
 *
 * ```ts
 * for (const [code, { meaning }] of Object.entries(ANOMALIES)) console.log(code, meaning);
 * ```
 */
export const ANOMALIES = {
  DATE_ZERO: { level: 'warning', meaning: 'the date is 0: nobody set it, or a program hid it' },
  NANOSECONDS_INVALID: {
    level: 'warning',
    meaning: 'the date has a second or more in nanoseconds',
  },
  DATE_AFTER_FILE: {
    level: 'warning',
    meaning: 'the snapshot is dated after the last write to the file',
  },
  DATE_BEFORE_LOWER_ID: {
    level: 'warning',
    meaning: 'the snapshot is dated before one with a lower id',
  },
  DATE_BEFORE_PARENT: {
    level: 'warning',
    meaning: 'the snapshot is dated before the one that it grew from',
  },
  VM_CLOCK_TOO_FAST: {
    level: 'warning',
    meaning: 'the guest ran longer than the time between the two dates',
  },
  VM_CLOCK_BACK: {
    level: 'note',
    meaning: 'the guest had run shorter than in the snapshot before: it was started anew',
  },
  ID_REPEATED: { level: 'warning', meaning: 'an earlier entry of the table has the same id' },
  ID_NOT_RISING: { level: 'note', meaning: 'an earlier entry of the table has a higher id' },
  NAME_REPEATED: { level: 'note', meaning: 'an earlier entry of the table has the same name' },
} as const satisfies Record<string, { level: 'warning' | 'note'; meaning: string }>;

/** Names what is odd. */
export type AnomalyCode = keyof typeof ANOMALIES;

/** Something odd about one snapshot. */
export interface Anomaly {
  readonly code: AnomalyCode;
  /** `note`: has common innocent causes. */
  readonly level: 'warning' | 'note';
  readonly snapshot: Snapshot;
  /** The one that it does not fit; undefined where it is odd by itself. */
  readonly other: Snapshot | undefined;
  /** How far it is off, where that is a time. */
  readonly offNanoseconds: bigint | undefined;
}

export function anomaly(
  code: AnomalyCode,
  snapshot: Snapshot,
  other?: Snapshot,
  offNanoseconds?: bigint,
): Anomaly {
  return { code, level: ANOMALIES[code].level, snapshot, other, offNanoseconds };
}
