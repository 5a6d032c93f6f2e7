import type { Sql } from '../database/database.js';

/** Images that wait for a reading, those that are read now included. */
export async function countWaiting(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    'select count(*)::int4 as count from qsnap.images where have < wanted',
  );
  return rows[0]!.count;
}
