import { type RescuedDisk, type RescuePlan, type RescueReport } from '../../../index.js';

/** What a rescue found, and what becomes of it. */
export interface Rescued {
  readonly path: string;
  readonly plan: RescuePlan;
  readonly disks: readonly RescuedDisk[];
  /** Undefined where nothing was written. */
  readonly output: { readonly path: string; readonly report: RescueReport } | undefined;
}
