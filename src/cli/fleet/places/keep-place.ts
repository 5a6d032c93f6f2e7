import { profileOf, type AuditPolicy, type ProfileName } from '../../../index.js';
import type { Database } from '../database/database.js';
import { keptPolicy } from './kept-policy.js';

/** Whose rules images are judged by where nobody says: what a host keeps should be sound and whole. */
const PROFILE: ProfileName = 'host-backup';

/** How the images of a place are read; undefined: as before, or as usual. */
export interface PlaceSettings {
  readonly policy: AuditPolicy | undefined;
  readonly hashes: boolean | undefined;
  readonly forceShare: boolean;
}

/** What became of a place that was to be added. */
export type Kept = 'new' | 'changed' | 'as it was';

/** A place that is known keeps the settings that nobody names. */
export async function keepPlace(
  database: Database,
  place: string,
  { policy, hashes, forceShare }: PlaceSettings,
  now: Date,
): Promise<Kept> {
  const kept = policy && JSON.stringify(keptPolicy(policy));
  const usual = JSON.stringify(keptPolicy(profileOf(PROFILE)));
  const { rows: made } = await database.query(
    `insert into qsnap.places (location, policy, hashes, force_share, added_at)
    values ($1, $2, $3, $4, $5) on conflict do nothing returning 1`,
    [place, kept ?? usual, hashes === true, forceShare, now],
  );
  if (made.length > 0) return 'new';
  const { rows: changed } = await database.query(
    `update qsnap.places set policy = coalesce($2, policy), hashes = coalesce($3, hashes),
      force_share = force_share or $4
    where location = $1 and
      (policy is distinct from coalesce($2, policy) or hashes is distinct from coalesce($3, hashes)
        or ($4 and not force_share))
    returning 1`,
    [place, kept, hashes, forceShare],
  );
  return changed.length > 0 ? 'changed' : 'as it was';
}

/** What was a slip of the hand is no place. */
export async function forgetPlace(database: Database, place: string): Promise<void> {
  await database.query('delete from qsnap.places where location = $1', [place]);
}
