import type { Database } from '../database/database.js';
import type { Answer, AnswerColumn } from './answer.js';

/** A question that comes with the program. */
interface ReadyQuestion {
  readonly columns: readonly AnswerColumn[];
  readonly ifNone: string;
  /**
   * Gives the columns in their order, at most `$1` rows. Texts are compared by their bytes, so that every database sorts
   * alike.
   */
  readonly sql: string;
}

const LOCATION = { name: 'location', title: 'IMAGE', kind: 'outside' } as const;
const ID = { name: 'snapshot_id', title: 'ID', kind: 'printed' } as const;
const NAME = { name: 'name', title: 'NAME', kind: 'printed' } as const;
const TAKEN = { name: 'taken_at', title: 'DATE', kind: 'time' } as const;
const FREED = { name: 'freed_bytes', title: 'FREED', kind: 'bytes', absent: '?' } as const;

const bytes = (name: string, title: string): AnswerColumn => ({ name, title, kind: 'bytes' });
const printed = (name: string, title: string): AnswerColumn => ({ name, title, kind: 'printed' });

export const READY_QUESTIONS = {
  oldest: {
    columns: [TAKEN, FREED, ID, NAME, LOCATION],
    ifNone: 'No snapshots.',
    sql: `select taken_at, freed_bytes, snapshot_id, name, location from qsnap.snapshots
      order by taken_at, taken_nanoseconds, location collate "C", position limit $1`,
  },
  largest: {
    columns: [FREED, bytes('mapped_bytes', 'MAPPED'), TAKEN, ID, NAME, LOCATION],
    ifNone: 'No snapshots that were measured.',
    sql: `select freed_bytes, mapped_bytes, taken_at, snapshot_id, name, location from qsnap.snapshots
      where freed_bytes is not null
      order by freed_bytes desc, location collate "C", position limit $1`,
  },
  orphans: {
    columns: [
      printed('why', 'BACKING FILE IS'),
      LOCATION,
      printed('backing_name', 'BACKING FILE'),
      { ...printed('backing_format', 'FORMAT'), absent: '-' },
    ],
    ifNone: 'No overlays without their backing file.',
    sql: `select why, location, backing_name, backing_format from (
        select images.location, images.backing_name, images.backing_format,
          case when images.backing_location is null then 'no name of a file'
            when base.id is null then 'not in the catalogue'
            when base.state in ('gone', 'failed') then base.state end as why
        from qsnap.images left join qsnap.images as base on base.location = images.backing_location
        where images.state = 'read' and images.backing_name is not null
      ) as overlays where why is not null order by location collate "C" limit $1`,
  },
  violations: {
    columns: [
      printed('level', 'LEVEL'),
      printed('rule', 'RULE'),
      LOCATION,
      printed('message', 'FINDING'),
    ],
    ifNone: 'No errors and no warnings.',
    sql: `select level, rule, location, message
      from qsnap.findings join qsnap.images on images.id = findings.image_id
      where state = 'read' and level in ('error', 'warning')
      order by level, location collate "C", number limit $1`,
  },
  drift: {
    columns: [
      { name: 'found_at', title: 'FOUND', kind: 'time' },
      printed('what', 'WHAT'),
      { ...printed('was', 'WAS'), absent: '-' },
      { ...printed('became', 'BECAME'), absent: '-' },
      LOCATION,
    ],
    ifNone: 'No image changed between two readings.',
    sql: `select found_at, what, was, became, location
      from qsnap.changes join qsnap.images on images.id = changes.image_id
      order by found_at desc, changes.id desc limit $1`,
  },
  failed: {
    columns: [
      printed('what', 'WHAT'),
      { ...printed('error_code', 'CODE'), absent: '-' },
      LOCATION,
      printed('message', 'WHY'),
    ],
    ifNone: 'Every image could be read.',
    sql: `select case state when 'failed' then 'not read' else 'not measured' end, error_code, location,
        coalesce(error_message, unmeasured)
      from qsnap.images where state = 'failed' or (state = 'read' and unmeasured is not null)
      order by state, location collate "C" limit $1`,
  },
  duplicates: {
    columns: [
      { name: 'copies', title: 'DISKS', kind: 'count' },
      { name: 'images', title: 'IMAGES', kind: 'count' },
      bytes('mapped_bytes', 'MAPPED'),
      printed('content_sha256', 'SHA-256'),
      { ...ID, absent: '-' },
      { ...NAME, absent: '(active disk)' },
      LOCATION,
    ],
    ifNone: 'No two disks are known to be equal: `qsnap catalog add --hash` keeps what tells.',
    // Disks of one image mostly share what is equal: most is to be won where several images have it.
    sql: `with equal as (
        select content_sha256, count(*)::int4 as copies, count(distinct image_id)::int4 as images,
          max(mapped_bytes) as most
        from qsnap.disks join qsnap.images on images.id = image_id
        where content_sha256 is not null and state = 'read' group by 1 having count(*) > 1
        order by (count(distinct image_id) - 1) * max(mapped_bytes) desc, 1 limit $1
      )
      select copies, equal.images, mapped_bytes, content_sha256, snapshot_id, name, location
      from equal join qsnap.disks using (content_sha256) join qsnap.images on images.id = image_id
      where state = 'read'
      order by (equal.images - 1) * most desc, content_sha256, location collate "C", position limit $1`,
  },
} as const satisfies Readonly<Record<string, ReadyQuestion>>;

export type ReadyName = keyof typeof READY_QUESTIONS;

/** Asks it. @param limit of the rows; undefined: all. */
export async function askReady(
  database: Database,
  name: ReadyName,
  limit: number | undefined,
): Promise<Answer> {
  const { columns, ifNone, sql }: ReadyQuestion = READY_QUESTIONS[name];
  const { rows } = await database.reading((reading) =>
    reading.table(sql, [limit === undefined ? null : limit + 1]),
  );
  return { columns, ifNone, ...cut(rows, limit) };
}

/** The rows that were asked for, and whether there are more. */
export function cut<Row>(
  rows: readonly Row[],
  limit: number | undefined,
): { readonly rows: readonly Row[]; readonly hasMore: boolean } {
  return { rows: rows.slice(0, limit), hasMore: limit !== undefined && rows.length > limit };
}
