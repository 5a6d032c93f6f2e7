import type { CalendarPeriods } from '../../index.js';
import { utcPeriods } from '../../index.js';

/** Hours, days, weeks from Monday on, and months in the time zone of the process. */
export function localPeriods(seconds: number): CalendarPeriods {
  // The moment at which clocks in UTC show what clocks here show then.
  const offsetSeconds = new Date(seconds * 1000).getTimezoneOffset() * 60;
  const local = utcPeriods(seconds - offsetSeconds);
  // An hour that clocks show twice is two hours.
  return { ...local, hour: String(Math.floor(seconds / 3600)) };
}
