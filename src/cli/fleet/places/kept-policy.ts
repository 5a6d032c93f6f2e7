import type { AuditPolicy, PolicyException, RuleSetting } from '../../../index.js';

/** A policy as a catalogue keeps it, in JSON. */
export interface KeptPolicy {
  readonly rules: readonly (readonly [id: string, setting: Partial<RuleSetting>])[];
  readonly exceptions: readonly PolicyException[];
}

export function keptPolicy({ rules, exceptions }: AuditPolicy): KeptPolicy {
  return { rules: [...rules], exceptions };
}

export function policyFrom({ rules, exceptions }: KeptPolicy): AuditPolicy {
  const settings = rules.map(([id, { level, options = {} }]) => [id, { level, options }] as const);
  return { rules: new Map(settings), exceptions };
}
