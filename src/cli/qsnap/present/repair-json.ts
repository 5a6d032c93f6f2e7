import type { ExecuteReport, ProposedRepair, QsnapError } from '../../../index.js';
import { totalsJson } from './check-json.js';
import { planJson, refusalJson } from './plan-json.js';

function repairJson(
  path: string,
  { before, after, facts, givenUp, plan }: ProposedRepair,
): Record<string, unknown> {
  return {
    filename: path,
    operation: 'repair',
    before: totalsJson(before.totals),
    after: { ...totalsJson(after.totals), 'exit-code': after.exitCode },
    'raised-clusters': facts.raisedClusters,
    'lowered-clusters': facts.loweredClusters,
    'given-up-entries': givenUp.l1 + givenUp.l2,
    ...(facts.droppedSnapshots !== undefined && {
      'dropped-snapshots': facts.droppedSnapshots.named.map(({ id, name }) => ({ id, name })),
      'dropped-unread-snapshots': facts.droppedSnapshots.unread,
    }),
    ...(facts.droppedBitmaps !== undefined && {
      'dropped-bitmaps': facts.droppedBitmaps.names,
      'dropped-bitmap-clusters': facts.droppedBitmaps.clusters,
    }),
    'written-bytes': plan === undefined ? 0 : plan.facts.shadowBytes + plan.switch.bytes.length,
    'growth-bytes': plan?.facts.growthBytes ?? 0,
  };
}

/** A repair that was not carried out. docs/schema/repair.json. */
export function repairPlanJson(
  path: string,
  proposal: ProposedRepair,
  refusal: QsnapError | undefined,
): Record<string, unknown> {
  const { plan } = proposal;
  return {
    ...repairJson(path, proposal),
    'dry-run': true,
    ...(plan !== undefined && { plan: planJson(plan) }),
    ...refusalJson(refusal),
  };
}

/** A repair that is done. docs/schema/repair.json. */
export function repairDoneJson(
  path: string,
  done: ProposedRepair,
  report: ExecuteReport | undefined,
  undoFile: string | undefined,
): Record<string, unknown> {
  return {
    ...repairJson(path, done),
    'dry-run': false,
    'punched-bytes': report?.punchedBytes ?? 0,
    ...(undoFile !== undefined && { 'undo-file': undoFile }),
  };
}
