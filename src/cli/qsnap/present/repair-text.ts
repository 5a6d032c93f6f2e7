import { printableText, type ExecuteReport, type ProposedRepair } from '../../../index.js';
import { countText } from '../../text.js';
import { verdictText } from './check-text.js';
import { dryRunLines, freedText, givenBackLines, netFreedBytes } from './plan-text.js';

/** A repair as a plan: every write, and what a check finds before and after it. */
export function repairPlanLines(path: string, proposal: ProposedRepair): readonly string[] {
  const { plan, image } = proposal;
  if (plan === undefined) return [nothingLine(path), foundLine('A check finds', proposal.after)];
  return [
    ...dryRunLines(path, plan, image),
    foundLine('A check finds now', proposal.before),
    foundLine('A check finds then', proposal.after),
  ];
}

/** What was done, and what is left. */
export function repairDoneLines(
  path: string,
  { plan, facts, after, image }: ProposedRepair,
  report: ExecuteReport | undefined,
  undoFile: string | undefined,
): readonly string[] {
  if (plan === undefined || report === undefined) {
    return [nothingLine(path), foundLine('A check finds', after)];
  }
  const raised = countText(facts.raisedClusters, 'cluster');
  const lowered = countText(facts.loweredClusters, 'cluster');
  const undo = printableText(undoFile ?? '');
  const file = printableText(path);
  return [
    `Repaired ${file}: refcounts of ${raised} raised, of ${lowered} lowered.`,
    ...(netFreedBytes(plan) <= 0 ? [] : [`Freed ${freedText(plan, image)}.`]),
    ...givenBackLines(plan, report),
    foundLine('A check finds', after),
    ...(undoFile === undefined ? [] : [`\`qsnap undo ${undo} ${file}\` puts back what was there.`]),
  ];
}

function nothingLine(path: string): string {
  return `${printableText(path)}: nothing of what was chosen needs a repair.`;
}

function foundLine(when: string, report: ProposedRepair['after']): string {
  return `${when}: ${verdictText(report)}.`;
}
