import { CLUSTER_FINDINGS } from './catalog-clusters.js';
import { ENTRY_FINDINGS } from './catalog-entries.js';
import type { CatalogEntry } from './catalog-entry.js';
import { HEADER_FINDINGS } from './catalog-header.js';
import { LOSS_FINDINGS } from './catalog-losses.js';
import { SNAPSHOT_FINDINGS } from './catalog-snapshots.js';

/**
 * Every finding by its code. Codes are API: never renamed, never used again for something else.
 */
export const CATALOG = {
  ...CLUSTER_FINDINGS,
  ...ENTRY_FINDINGS,
  ...SNAPSHOT_FINDINGS,
  ...HEADER_FINDINGS,
  ...LOSS_FINDINGS,
} as const satisfies Record<string, CatalogEntry>;

/** A code of the table above. */
export type FindingCode = keyof typeof CATALOG;

/** Whether this is the code of a finding. */
export function isFindingCode(text: string): text is FindingCode {
  return Object.hasOwn(CATALOG, text);
}

/** What is said of a code. */
export function catalogEntry(code: FindingCode): CatalogEntry {
  return CATALOG[code];
}
