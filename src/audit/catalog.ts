import { CHAIN_RULES } from './rules/chain.js';
import { ENCRYPTION_RULES } from './rules/encryption.js';
import { FORMAT_RULES } from './rules/format.js';
import { NOT_AN_IMAGE } from './rules/image.js';
import { NAMED_FILE_RULES } from './rules/named-files.js';
import { PARTITION_RULES } from './rules/partitions.js';
import { READER_RULES } from './rules/readers.js';
import { REMAINS_RULES } from './rules/remains.js';
import { SIZE_RULES } from './rules/sizes.js';
import { SNAPSHOT_RULES } from './rules/snapshots.js';
import { SOUNDNESS_RULES } from './rules/soundness.js';
import type { Rule } from './rule.js';

/**
 * Every rule, by ascending id.
 *
 * ```ts
 * for (const { id, name, title } of AUDIT_RULES) console.log(id, name, title);
 * ```
 */
export const AUDIT_RULES: readonly Rule[] = [
  NOT_AN_IMAGE,
  ...SNAPSHOT_RULES,
  ...NAMED_FILE_RULES,
  ...CHAIN_RULES,
  ...FORMAT_RULES,
  ...SIZE_RULES,
  ...ENCRYPTION_RULES,
  ...SOUNDNESS_RULES,
  ...REMAINS_RULES,
  ...READER_RULES,
  ...PARTITION_RULES,
];

/**
 * The rule of an id or a name; undefined where there is none.
 *
 * ```ts
 * console.log(findRule('snapshots')?.id); // 'QS1101'
 * ```
 */
export function findRule(word: string): Rule | undefined {
  return AUDIT_RULES.find(({ id, name }) => id === word || name === word);
}
