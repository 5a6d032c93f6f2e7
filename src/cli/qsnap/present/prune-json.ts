import type { PruneChoice } from '../../../index.js';
import { snapshotJson } from './snapshot-json.js';

/** docs/schema/prune.json. */
export function choiceJson({ snapshot, keptBy }: PruneChoice): Record<string, unknown> {
  return {
    ...snapshotJson(snapshot, undefined),
    index: snapshot.index,
    deletes: keptBy.length === 0,
    'kept-by': keptBy,
  };
}
