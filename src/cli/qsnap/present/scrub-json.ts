import type {
  QsnapError,
  RemainingBytes,
  ScrubFacts,
  ScrubPlan,
  ScrubReport,
} from '../../../index.js';
import { refusalJson } from './plan-json.js';

/** A scrub that was not carried out. docs/schema/scrub.json. */
export function plannedScrubJson(
  path: string,
  { facts }: ScrubPlan,
  remaining: RemainingBytes,
  refusal: QsnapError | undefined,
): Record<string, unknown> {
  return {
    filename: path,
    operation: 'scrub',
    'dry-run': true,
    'not-zero': bytesJson(remaining),
    ...factsJson(facts),
    ...refusalJson(refusal),
  };
}

/** A scrub that is done. docs/schema/scrub.json. */
export function scrubbedJson(
  path: string,
  report: ScrubReport,
  verified: boolean,
): Record<string, unknown> {
  return {
    filename: path,
    operation: 'scrub',
    'dry-run': false,
    verified,
    scrubbed: bytesJson(report),
    'punched-bytes': report.punchedBytes,
    ...factsJson(report.facts),
  };
}

function factsJson(facts: ScrubFacts): Record<string, unknown> {
  return { unreferenced: bytesJson(facts), 'leaked-clusters': facts.leakedClusters };
}

function bytesJson({ freeBytes, tailBytes, slackBytes }: RemainingBytes): Record<string, unknown> {
  return { 'free-bytes': freeBytes, 'tail-bytes': tailBytes, 'slack-bytes': slackBytes };
}
