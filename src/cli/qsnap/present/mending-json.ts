import type { Mended } from '../mending/carry-out-mending.js';
import type { MendingPlan } from '../mending/plan-mending.js';
import { repairDoneJson, repairPlanJson } from './repair-json.js';
import { plannedScrubJson, scrubbedJson } from './scrub-json.js';

/** What would be done about an image. docs/schema/audit.json. */
export function plannedMendingJson(
  path: string,
  { repair, scrub }: MendingPlan,
): Record<string, unknown> {
  return {
    ...(repair !== undefined && { repair: repairPlanJson(path, repair, undefined) }),
    ...(scrub !== undefined && {
      scrub: plannedScrubJson(path, scrub.plan, scrub.remaining, undefined),
    }),
  };
}

/** What one of the edits did. */
export function doneMendingJson(
  path: string,
  { repair, scrub }: Partial<Mended>,
): Record<string, unknown> {
  return {
    ...(repair !== undefined && {
      repair: repairDoneJson(path, repair.proposal, repair.report, undefined),
    }),
    ...(scrub !== undefined && { scrub: scrubbedJson(path, scrub, false) }),
  };
}
