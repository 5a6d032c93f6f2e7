import { GiB } from '../base/units.js';
import { findRule } from './catalog.js';
import type { AuditPolicy, RuleSetting } from './policy.js';
import type { Level, OptionValues } from './rule.js';

type Settings = Readonly<Record<string, Level | readonly [Level, OptionValues]>>;

/** What a stranger hands in: nothing of it may reach for other files, fill the host, or be more than it seems. */
const UNTRUSTED_UPLOAD: Settings = {
  'unreadable-parts': 'error',
  'backing-file': 'error',
  'data-file': 'error',
  'remote-name': 'error',
  'json-name': 'error',
  'unknown-features': 'error',
  corrupt: 'error',
  dirty: 'warning',
  snapshots: ['warning', {}],
  'vm-state': 'error',
  'disk-size': ['error', { max: 16 * 1024 * GiB }],
  'size-ratio': ['error', {}],
  'legacy-aes': 'error',
  'not-encrypted': 'warning',
};

/** What many machines are made from: sound, without a past, and readable by all. */
const GOLDEN_IMAGE: Settings = {
  'unreadable-parts': 'error',
  corruption: 'error',
  leaks: 'error',
  'not-checked': 'error',
  'check-notes': 'note',
  snapshots: ['error', {}],
  'vm-state': 'error',
  'backing-file': 'error',
  'data-file': 'error',
  'unknown-features': 'error',
  dirty: 'error',
  corrupt: 'error',
  'lazy-refcounts': 'warning',
  compat: ['warning', {}],
  'extended-l2': 'note',
  bitmaps: 'warning',
  'not-encrypted': 'error',
  fragmentation: ['note', {}],
  'free-clusters': 'error',
  slack: 'warning',
  'secrets-left': 'error',
  'gpt-backup': 'warning',
  'protective-mbr': 'warning',
};

/** What somebody may have to swear by: whole, and nothing that a reader would change or show wrong. */
const EVIDENCE: Settings = {
  'unreadable-parts': 'error',
  corruption: 'error',
  'not-checked': 'error',
  leaks: 'note',
  dirty: 'error',
  corrupt: 'error',
  'unknown-features': 'error',
  'backing-file': 'warning',
  'data-file': 'warning',
  'vm-state': 'note',
  'free-clusters': 'note',
  slack: 'note',
  'readable-by': ['warning', { readers: ['libqcow', '7-zip', 'xmount'] }],
};

/** What a host keeps for a bad day: sound, whole without other hosts, and not older than it says. */
const HOST_BACKUP: Settings = {
  'unreadable-parts': 'error',
  corruption: 'error',
  'not-checked': 'error',
  leaks: 'warning',
  dirty: 'error',
  corrupt: 'error',
  'absolute-name': 'warning',
  'remote-name': 'error',
  'backing-format': 'warning',
  'legacy-aes': 'warning',
  bitmaps: 'warning',
  'snapshot-name-twice': 'warning',
  'snapshot-age': ['note', { max: 365 * 86_400 }],
};

const PROFILES = {
  'untrusted-upload': UNTRUSTED_UPLOAD,
  'golden-image': GOLDEN_IMAGE,
  evidence: EVIDENCE,
  'host-backup': HOST_BACKUP,
} as const;

/** The name of a built-in policy. */
export type ProfileName = keyof typeof PROFILES;

/**
 * The names of the built-in policies.
 *
 * ```ts
 * for (const name of PROFILE_NAMES) console.log(name, profileOf(name).rules.size);
 * ```
 */
export const PROFILE_NAMES = Object.keys(PROFILES) as readonly ProfileName[];

/**
 * A built-in policy.
 *
 * ```ts
 * const report = await auditImage(device, profileOf('untrusted-upload'), { now: 1_790_000_000 });
 * ```
 */
export function profileOf(name: ProfileName): AuditPolicy {
  const settings = Object.entries<Settings[string]>(PROFILES[name]);
  return { rules: new Map(settings.map(settingOf)), exceptions: [] };
}

function settingOf([word, setting]: readonly [string, Settings[string]]): [string, RuleSetting] {
  const rule = findRule(word);
  if (rule === undefined) throw new TypeError(`no rule is called ${word}`);
  const [level, options] = typeof setting === 'string' ? [setting, {}] : setting;
  return [rule.id, { level, options }];
}
