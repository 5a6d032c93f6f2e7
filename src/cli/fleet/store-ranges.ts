import type { Sql } from './database/database.js';
import { changedRecord, TRIES_MAX } from './examine/failed-record.js';
import type { RangeResult } from './examine/hash-range.js';
import type { HashPlan } from './examine/pieces.js';
import type { ImageTask, Queue, RangeTask } from './queue/queue.js';
import { storeRecord } from './store-record.js';

/** What a result did to the catalogue. */
export type Effect = 'a reading' | 'a range' | 'nothing';

/**
 * Puts a plan into the catalogue and its ranges into the queue, as part of a transaction. The image waits on: its reading
 * is stored once all of them are read.
 */
export async function storePlan(
  sql: Sql,
  queue: Queue,
  job: ImageTask,
  { version, ranges }: HashPlan,
  now: Date,
): Promise<Effect> {
  if (!(await isWanted(sql, job))) return 'nothing';
  // Ranges of the same reading were of a version that is there no more.
  const tries = job.tries + ((await dropRanges(sql, job)) ? 1 : 0);
  if (tries >= TRIES_MAX)
    return (await storeRecord(sql, job, changedRecord(), now)) ? 'a reading' : 'nothing';
  await sql.query(
    `insert into qsnap.hash_ranges (image_id, reading, version, position, first_piece, pieces)
    select $1, $2, $3, position, first_piece, pieces
    from jsonb_to_recordset($4) as t(position int, first_piece int8, pieces int8)`,
    [
      job.image,
      job.reading,
      version,
      JSON.stringify(
        ranges.map(({ position, firstPiece, pieces }) => ({
          position,
          first_piece: firstPiece,
          pieces,
        })),
      ),
    ],
  );
  const { image, reading, location, store } = job;
  const common = { image, reading, location, store, tries, version };
  await queue.add(
    sql,
    ranges.map((range): RangeTask => ({ kind: 'range', ...common, ...range })),
  );
  return 'nothing';
}

/**
 * Puts what came of a range into the catalogue, as part of a transaction. After the last one the image is in the queue
 * again.
 */
export async function storeRange(
  sql: Sql,
  queue: Queue,
  job: RangeTask,
  result: RangeResult,
  now: Date,
): Promise<Effect> {
  if (result.kind === 'stale' || !(await isWanted(sql, job))) return 'nothing';
  if (!(await isUnread(sql, job))) return 'nothing';
  switch (result.kind) {
    case 'failed':
      return (await storeRecord(sql, job, result.record, now)) ? 'a reading' : 'nothing';
    case 'changed': {
      await dropRanges(sql, job);
      const tries = job.tries + 1;
      if (tries < TRIES_MAX) {
        await queue.add(sql, [imageTaskOf({ ...job, tries })]);
        return 'nothing';
      }
      return (await storeRecord(sql, job, changedRecord(), now)) ? 'a reading' : 'nothing';
    }
    case 'unreadable':
      // The others of this disk need not be read any more.
      await sql.query(
        `update qsnap.hash_ranges set digests = ''
        where image_id = $1 and position = $2 and digests is null`,
        [job.image, job.position],
      );
      break;
    case 'read':
      await sql.query(
        `update qsnap.hash_ranges set digests = $4
        where image_id = $1 and position = $2 and first_piece = $3`,
        [job.image, job.position, job.firstPiece, result.digests],
      );
  }
  if (await areAllRead(sql, job.image)) await queue.add(sql, [imageTaskOf(job)]);
  return 'a range';
}

const imageTaskOf = ({ image, reading, location, store, tries }: RangeTask): ImageTask => ({
  kind: 'image',
  image,
  reading,
  location,
  store,
  tries,
});

/** Whether a reading is still asked for. Until the end of the transaction no other worker stores anything of the image. */
async function isWanted(
  sql: Sql,
  { image, reading }: Pick<ImageTask, 'image' | 'reading'>,
): Promise<boolean> {
  const { rows } = await sql.query(
    'select 1 from qsnap.images where id = $1 and wanted = $2 and have < $2 for update',
    [image, reading],
  );
  return rows.length > 0;
}

/** Whether this range is still part of a plan, and nobody has read it. */
async function isUnread(sql: Sql, job: RangeTask): Promise<boolean> {
  const { rows } = await sql.query(
    `select 1 from qsnap.hash_ranges where image_id = $1 and position = $2 and first_piece = $3
      and reading = $4 and version = $5 and pieces = $6 and digests is null`,
    [job.image, job.position, job.firstPiece, job.reading, job.version, job.pieces],
  );
  return rows.length > 0;
}

async function areAllRead(sql: Sql, image: number): Promise<boolean> {
  const { rows } = await sql.query(
    'select 1 from qsnap.hash_ranges where image_id = $1 and digests is null limit 1',
    [image],
  );
  return rows.length === 0;
}

/** @returns whether there were some of the same reading. */
async function dropRanges(
  sql: Sql,
  { image, reading }: Pick<ImageTask, 'image' | 'reading'>,
): Promise<boolean> {
  const { rows } = await sql.query<{ reading: number }>(
    'delete from qsnap.hash_ranges where image_id = $1 returning reading',
    [image],
  );
  return rows.some((row) => row.reading === reading);
}
