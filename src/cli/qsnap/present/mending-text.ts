import { printableText } from '../../../internal.js';
import type { Mended } from '../mending/carry-out-mending.js';
import type { MendingPlan } from '../mending/plan-mending.js';
import { ruleLabel, type Audited } from './audited.js';
import { repairDoneLines, repairPlanLines } from './repair-text.js';
import { plannedScrubLines, scrubbedLines } from './scrub-text.js';

/** The rules that are mended: `QS1602 leaks, QS1701 free-clusters`. */
export function rulesText({ rules }: Pick<MendingPlan, 'rules'>): string {
  return rules.map(ruleLabel).join(', ');
}

/** What would be done, edit by edit. */
export function plannedMendingLines(path: string, plan: MendingPlan): readonly string[] {
  const { repair, scrub } = plan;
  const lines = [
    // The first line says that it is a dry run, which this need not be.
    ...(repair === undefined ? [] : repairPlanLines(path, repair).slice(1)),
    ...(scrub === undefined ? [] : plannedScrubLines(path, scrub.plan, scrub.remaining)),
  ];
  const title = `${printableText(path)}: --fix would mend ${rulesText(plan)}`;
  return [title, ...lines.map((line) => `  ${line}`)];
}

/** What was done by one of the edits. */
export function doneMendingLines(
  path: string,
  { repair, scrub }: Partial<Mended>,
): readonly string[] {
  return [
    ...(repair === undefined
      ? []
      : repairDoneLines(path, repair.proposal, repair.report, undefined)),
    ...(scrub === undefined ? [] : scrubbedLines(path, scrub, false)),
  ];
}

/** Said where there is something wrong, and nothing to be done without a person. */
export function unmendedLine({ path, report }: Audited): readonly string[] {
  if (report.findings.length === 0) return [];
  const why = report.isCorrupt
    ? '--fix mends no damaged image: `qsnap check` says what is wrong'
    : 'nothing that --fix mends: `qsnap audit --explain RULE` says what else to do';
  return [`${printableText(path)}: ${why}`];
}
