import type { QsnapError, TrimPlan, TrimReport } from '../../../index.js';
import { refusalJson } from './plan-json.js';

/** A trim that was not carried out. docs/schema/trim.json. */
export function plannedTrimJson(
  path: string,
  plan: TrimPlan,
  refusal: QsnapError | undefined,
): Record<string, unknown> {
  const { facts } = plan;
  return {
    filename: path,
    operation: 'trim',
    'dry-run': true,
    'file-size-before': plan.fileSizeBytes,
    'file-size': plan.endBytes,
    'free-bytes': facts.freeBytes,
    'tail-bytes': facts.tailBytes,
    'shortest-file-size': facts.shortestBytes,
    'leaked-clusters': facts.leakedClusters,
    ...refusalJson(refusal),
  };
}

/** A trim that is done. docs/schema/trim.json. */
export function trimmedJson(
  path: string,
  report: TrimReport,
  verified: boolean,
): Record<string, unknown> {
  const { allocatedBefore, allocatedBytes } = report;
  return {
    filename: path,
    operation: 'trim',
    'dry-run': false,
    verified,
    'file-size-before': report.fileSizeBefore,
    'file-size': report.fileSizeBytes,
    ...(allocatedBefore !== undefined && { 'actual-size-before': allocatedBefore }),
    ...(allocatedBytes !== undefined && { 'actual-size': allocatedBytes }),
    'moved-bytes': report.movedBytes,
    steps: report.steps,
    'free-bytes': report.freeBytes,
    'leaked-clusters': report.leakedClusters,
  };
}
