import type { FindingCode, Rule, ScrubPart } from '../../../index.js';

/** Edits that make an image keep a rule again: they are what anybody would do, and they lose nothing. */
export interface SafeRemedy {
  /** Findings of a check that are repaired by name. */
  readonly repairs: readonly FindingCode[];
  /** What is scrubbed. */
  readonly scrubs: readonly ScrubPart[];
  /** What becomes of it, as `--explain` says it. */
  readonly does: string;
}

/**
 * By the id of the rule. A rule is not here where a person has to choose (a snapshot, a name, a size), where something
 * would go that somebody may want (snapshots, bitmaps, VM states), or where damage has to be looked at first.
 */
const SAFE_REMEDIES: Readonly<Record<string, SafeRemedy>> = {
  QS1302: {
    repairs: ['MARKED_DIRTY'],
    scrubs: [],
    does: 'clears the mark where a check finds no error',
  },
  QS1602: {
    // Not those that a lost table may have referred to, which have codes of their own.
    repairs: ['CLUSTER_LEAKED', 'REFCOUNT_TOO_HIGH'],
    scrubs: [],
    does: 'frees what leaked, unless a lost table may have referred to it',
  },
  QS1701: {
    repairs: [],
    scrubs: ['free', 'tail'],
    does: 'makes zeros of these bytes',
  },
  QS1702: {
    repairs: [],
    scrubs: ['slack'],
    does: 'makes zeros of these bytes',
  },
};

/** What mends a broken rule without a question; undefined where there is no such thing. */
export function safeRemedyOf({ id }: Pick<Rule, 'id'>): SafeRemedy | undefined {
  return SAFE_REMEDIES[id];
}
