import type { Database } from '../database/database.js';
import type { Answer } from './answer.js';
import { askReady } from './ready.js';
import { pruneAllBy } from './what-if-prune.js';

/** What a report tells of a catalogue. Sizes are in bytes. */
export interface ReportFacts {
  readonly label: string;
  readonly at: Date;
  readonly states: readonly { readonly state: string; readonly images: number }[];
  readonly totals: FleetTotals;
  /** What deleting every snapshot of such an age frees; the last one is for all. */
  readonly ages: readonly AgeFreed[];
  readonly findings: readonly RuleCount[];
  readonly largestImages: Answer;
  readonly largest: Answer;
  readonly oldest: Answer;
  readonly orphans: Answer;
  readonly failed: Answer;
  readonly drift: Answer;
}

export interface FleetTotals {
  readonly images: number;
  readonly snapshots: number;
  readonly allocated_bytes: number;
  readonly free_bytes: number;
  readonly leaked_bytes: number;
}

export interface AgeFreed {
  /** `30 days`; undefined: of any age. */
  readonly olderThan: string | undefined;
  readonly snapshots: number;
  readonly freedBytes: number;
}

export interface RuleCount {
  readonly level: string;
  readonly rule: string;
  readonly rule_name: string;
  readonly findings: number;
  readonly images: number;
}

/** Rows of each list. */
const ROWS = 20;

const DAY_SECONDS = 86_400;
const AGES: readonly (readonly [text: string | undefined, days: number])[] = [
  ['1 year', 365],
  ['180 days', 180],
  ['90 days', 90],
  ['30 days', 30],
  ['7 days', 7],
  ['1 day', 1],
];
/** Later than any date that an image can hold. */
const NEVER_SECONDS = 2 ** 33;

export async function reportFacts(database: Database, at: Date): Promise<ReportFacts> {
  const { rows: states } = await database.query<{ state: string; images: number }>(
    'select state, count(*)::int4 as images from qsnap.images group by 1 order by 1',
  );
  const { rows: totals } = await database.query<FleetTotals>(TOTALS);
  const { rows: findings } = await database.query<RuleCount>(FINDINGS);
  return {
    label: database.label,
    at,
    states,
    totals: totals[0]!,
    ages: await agesFreed(database, at),
    findings,
    largestImages: await largestImages(database),
    largest: await askReady(database, 'largest', ROWS),
    oldest: await askReady(database, 'oldest', ROWS),
    orphans: await askReady(database, 'orphans', ROWS),
    failed: await askReady(database, 'failed', ROWS),
    drift: await askReady(database, 'drift', ROWS),
  };
}

/** What damaged images claim may add up to more than 64 bits hold. */
const TOTALS = `select count(*)::int4 as images, coalesce(sum(snapshot_count), 0)::float8 as snapshots,
    coalesce(sum(coalesce(allocated_bytes, file_bytes)), 0)::float8 as allocated_bytes,
    coalesce(sum(free_bytes), 0)::float8 as free_bytes,
    coalesce(sum(leaked_bytes), 0)::float8 as leaked_bytes
  from qsnap.images where state = 'read'`;

const FINDINGS = `select level, rule, rule_name, count(*)::int4 as findings,
    count(distinct image_id)::int4 as images
  from qsnap.findings join qsnap.images on images.id = image_id where state = 'read'
  group by 1, 2, 3
  order by array_position(array['error', 'warning', 'note'], level), count(*) desc, rule`;

async function largestImages(database: Database): Promise<Answer> {
  const { rows } = await database.reading((sql) =>
    sql.table(
      `select coalesce(allocated_bytes, file_bytes), virtual_bytes, snapshot_count, location
      from qsnap.images where state = 'read' and file_bytes is not null
      order by 1 desc, location collate "C" limit $1`,
      [ROWS],
    ),
  );
  return { columns: IMAGE_COLUMNS, rows, hasMore: false, ifNone: 'No images.' };
}

const IMAGE_COLUMNS: Answer['columns'] = [
  { name: 'allocated_bytes', title: 'TAKES', kind: 'bytes' },
  { name: 'virtual_bytes', title: 'DISK', kind: 'bytes', absent: '?' },
  { name: 'snapshot_count', title: 'SNAPSHOTS', kind: 'count' },
  { name: 'location', title: 'IMAGE', kind: 'outside' },
];

async function agesFreed(database: Database, at: Date): Promise<readonly AgeFreed[]> {
  const now = Math.ceil(at.getTime() / 1000);
  const bounds = AGES.map(([, days]) => now - days * DAY_SECONDS);
  const pruned = await pruneAllBy(
    database,
    [...bounds, NEVER_SECONDS].map((takenBefore) => ({ takenBefore })),
  );
  return pruned.map((images, i) => ({
    olderThan: AGES[i]?.[0],
    snapshots: images.reduce((sum, { gone }) => sum + gone.length, 0),
    freedBytes: images.reduce((sum, { freedBytes = 0 }) => sum + freedBytes, 0),
  }));
}
