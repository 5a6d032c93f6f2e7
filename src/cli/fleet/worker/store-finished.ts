import type { Sql } from '../database/database.js';
import type { Queue } from '../queue/queue.js';
import { storePlan, storeRange, type Effect } from '../store-ranges.js';
import { storeRecord } from '../store-record.js';
import type { Finished } from './do-job.js';

/** What was stored. */
export interface StoredCounts {
  /** Readings of images. */
  readonly images: number;
  /** Ranges of large disks. */
  readonly ranges: number;
}

/** Puts what came of jobs into the catalogue, as part of a transaction. */
export async function storeFinished(
  sql: Sql,
  queue: Queue,
  finished: readonly Finished[],
  now: Date,
): Promise<StoredCounts> {
  // In one order: two workers with ranges of the same images would wait for each other.
  const sorted = finished.toSorted((a, b) => a.job.image - b.job.image);
  const counts: Record<Effect, number> = { 'a reading': 0, 'a range': 0, nothing: 0 };
  for (const one of sorted) counts[await storeOne(sql, queue, one, now)] += 1;
  return { images: counts['a reading'], ranges: counts['a range'] };
}

async function storeOne(sql: Sql, queue: Queue, finished: Finished, now: Date): Promise<Effect> {
  if ('range' in finished) return storeRange(sql, queue, finished.job, finished.range, now);
  const { job, record } = finished;
  if (record.unhashed !== undefined) return storePlan(sql, queue, job, record.unhashed, now);
  return (await storeRecord(sql, job, record, now)) ? 'a reading' : 'nothing';
}
