import type { Database } from '../database/database.js';
import type { Unseen } from './find-images.js';

/** A look at a place, by its number. */
export interface Look {
  readonly place: string;
  readonly look: number;
}

/** What was not seen may be there: below a folder that can't be read nothing is marked. */
export async function markGone(
  database: Database,
  { place, look }: Look,
  now: Date,
  unseen: readonly Unseen[],
): Promise<number> {
  const { rows } = await database.query<{ id: number; location: string }>(
    `select id, location from qsnap.images
    where place = $1 and seen_look < $2 and state <> 'gone' and have >= wanted`,
    [place, look],
  );
  const gone = rows.filter(
    ({ location }) => !unseen.some((one) => location.startsWith(one.location)),
  );
  if (gone.length === 0) return 0;
  await database.query(
    `with gone as (
      update qsnap.images set state = 'gone' where id = any($1) and state <> 'gone' returning id
    )
    insert into qsnap.changes (image_id, found_at, what, was, became)
    select id, $2, 'state', 'there', 'gone' from gone`,
    [gone.map(({ id }) => id), now],
  );
  return gone.length;
}
