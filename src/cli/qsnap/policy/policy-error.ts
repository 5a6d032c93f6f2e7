import { printableText } from '../../../internal.js';
import { countText } from '../../text.js';

/** A mistake in a policy file, or something odd. */
export interface PolicyProblem {
  /** The path: as given, or as the file that extends it leads to it. */
  readonly file: string;
  /** Line and column count from 1, the column in UTF-16 units; undefined: it is about the whole file. */
  readonly place: { readonly line: number; readonly column: number } | undefined;
  /** What was found and what would have been right: one sentence without a full stop. */
  readonly message: string;
}

/** A policy that can't be used, with all that is wrong with it. It is of the command line: the engine takes values. */
export class PolicyError extends Error {
  readonly code = 'POLICY_INVALID';
  readonly problems: readonly PolicyProblem[];

  constructor(file: string, problems: readonly PolicyProblem[]) {
    super(`${printableText(file)} is no policy: ${countText(problems.length, 'mistake')}`);
    this.name = 'PolicyError';
    this.problems = problems;
  }
}
