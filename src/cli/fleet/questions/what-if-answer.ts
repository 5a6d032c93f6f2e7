import { pruneRules, type PruneRuleFlags } from '../../qsnap/prune-rules.js';
import type { Database, SqlValue } from '../database/database.js';
import type { Answer } from './answer.js';
import { cut } from './ready.js';
import { goneSnapshots, pruneAll, type PrunedImage } from './what-if-prune.js';

/** What `qsnap prune` would do to every image: rows for people and programs, and all images for totals. */
export async function askWhatIfPruned(
  database: Database,
  flags: PruneRuleFlags,
  now: Date,
  limit: number | undefined,
): Promise<{ readonly answer: Answer; readonly pruned: readonly PrunedImage[] }> {
  const pruned = await pruneAll(database, pruneRules(flags, now));
  const { rows: shown, hasMore } = cut(pruned, limit);
  const gone = await goneSnapshots(database, shown);
  const rows = shown.map((image): readonly SqlValue[] => [
    image.freedBytes ?? null,
    image.gone.length,
    image.snapshots,
    (gone.get(image.id) ?? []).map((one) => ({ ...one })),
    image.location,
  ]);
  return { answer: { columns: COLUMNS, rows, hasMore, ifNone: 'No snapshot would go.' }, pruned };
}

const COLUMNS: Answer['columns'] = [
  { name: 'freed_bytes', title: 'FREED', kind: 'bytes', absent: '?' },
  { name: 'gone_count', title: 'GO', kind: 'count' },
  { name: 'snapshot_count', title: 'OF', kind: 'count' },
  { name: 'gone', title: 'IDS', kind: 'snapshots' },
  { name: 'location', title: 'IMAGE', kind: 'outside' },
];
