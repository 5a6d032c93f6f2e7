import { findRule, type Level, type RuleSetting } from '../../index.js';

/** What is asked of a chain that somebody wants followed. A long one works, and is only slow. */
const CHAIN_LEVELS: Readonly<Record<string, Level>> = {
  'chain-depth': 'warning',
  'chain-complete': 'error',
  'chain-loop': 'error',
  'chain-format': 'error',
};

/** Adds the rules about the backing chain that nobody has set, be it to off. */
export function withChainRules(
  rules: ReadonlyMap<string, RuleSetting>,
): ReadonlyMap<string, RuleSetting> {
  const added = Object.entries(CHAIN_LEVELS).map(
    ([name, level]) => [findRule(name)!.id, { level, options: {} }] as const,
  );
  return new Map([...added, ...rules]);
}
