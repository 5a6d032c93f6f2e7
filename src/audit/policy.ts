import type { Level, OptionValues } from './rule.js';

/** What a policy asks for by one rule. */
export interface RuleSetting {
  /** Undefined: the rule is off. */
  readonly level: Level | undefined;
  readonly options: OptionValues;
}

/** A violation that is known and allowed for some time. */
export interface PolicyException {
  /** The rule's id. */
  readonly rule: string;
  /** Images that it is for, as patterns of paths; undefined: all. */
  readonly images: readonly string[] | undefined;
  readonly reason: string;
  /** It holds before this moment, in seconds since the Epoch. */
  readonly until: number;
}

/** What images are to be like: a value, whatever file it was read from. */
export interface AuditPolicy {
  /** By the rule's id; what is not there is off. */
  readonly rules: ReadonlyMap<string, RuleSetting>;
  readonly exceptions: readonly PolicyException[];
}
