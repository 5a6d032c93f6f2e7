import type { Anomaly, AnomalyCode } from '../../../index.js';
import { utcTimeText, vmClockText } from '../../text.js';
import { snapshotLabel } from './timeline-rows.js';

type Sentence = (facts: { date: string; other: string; off: string }) => string;

const SENTENCES: Record<AnomalyCode, Sentence> = {
  DATE_ZERO: () => 'the date is 0, which is no date of a snapshot',
  NANOSECONDS_INVALID: () => 'the nanoseconds of the date are a second or more',
  DATE_AFTER_FILE: ({ date, off }) => `dated ${date}, ${off} after the last write to the file`,
  DATE_BEFORE_LOWER_ID: ({ other, off }) => `dated ${off} before ${other}, which has a lower id`,
  DATE_BEFORE_PARENT: ({ other, off }) => `dated ${off} before ${other}, which it grew from`,
  VM_CLOCK_TOO_FAST: ({ other, off }) =>
    `the guest ran ${off} longer than the time since ${other}, which it grew from`,
  VM_CLOCK_BACK: ({ other, off }) =>
    `the clock of the guest is ${off} behind ${other}, which it grew from: it was started anew`,
  ID_REPEATED: ({ other }) => `has the id of ${other}`,
  ID_NOT_RISING: ({ other }) => `comes after ${other}, which has a higher id`,
  NAME_REPEATED: ({ other }) => `has the name of ${other}`,
};

/** What is odd about a snapshot, without its name. */
export function anomalyText({ code, snapshot, other, offNanoseconds }: Anomaly): string {
  return SENTENCES[code]({
    date: utcTimeText(snapshot.date),
    other: other === undefined ? '' : snapshotLabel(other),
    off: vmClockText(offNanoseconds ?? 0n),
  });
}
