import type { Ancestry, Descent } from '../../../index.js';
import { snapshotJson } from './snapshot-json.js';

/** docs/schema/tree.json. */
export function treeJson({ active, snapshots, changedBytes }: Ancestry): Record<string, unknown> {
  return {
    active: {
      ...descentJson(active),
      ...(changedBytes !== undefined && { 'changed-bytes': changedBytes }),
    },
    snapshots: snapshots.map((descent) => ({
      index: descent.snapshot!.index,
      ...snapshotJson(descent.snapshot!, undefined),
      'is-applied-last': descent.snapshot!.index === active.parent?.index,
      ...descentJson(descent),
    })),
  };
}

function descentJson(descent: Descent) {
  const { parent, certainty, alternatives, moreAlternatives, newBytes, goneBytes } = descent;
  return {
    parent: parent === undefined ? null : parent.index,
    certainty,
    alternatives: alternatives.map(({ index }) => index),
    'more-alternatives': moreAlternatives,
    'new-bytes': newBytes,
    'gone-bytes': goneBytes,
  };
}
