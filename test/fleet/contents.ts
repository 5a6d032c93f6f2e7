/** All that a catalogue has of images that are there, without what differs from run to run: numbers of rows, and when something was read. */
import { openCatalog } from '../../src/cli/fleet/database/open.js';

const QUERIES = {
  images: `select location, store, place, state, stamp, file_bytes, allocated_bytes, modified_at,
      tables_sha256, format_version, cluster_bytes, refcount_bits, virtual_bytes, compression,
      encryption, is_dirty, is_corrupt, snapshot_count, snapshot_table_bytes, backing_name,
      backing_format, backing_location, data_file_name, data_bytes, metadata_bytes, free_bytes,
      leaked_bytes, tail_bytes, changed_bytes, findings_left_out, unmeasured, error_code,
      error_message
    from qsnap.images where state <> 'gone' order by location collate "C"`,
  disks: of('disks', 'position'),
  shares: of('shares', 'disks, bytes'),
  findings: of('findings', 'number'),
} as const;

function of(table: string, order: string): string {
  return `select location, (to_jsonb(${table}) - 'image_id')::text as row
    from qsnap.${table} join qsnap.images on images.id = image_id
    where state <> 'gone' order by location collate "C", ${order}`;
}

/** What a catalogue holds. */
export interface Contents {
  readonly tables: Readonly<Record<string, readonly object[]>>;
  /** Images whose last reading is not the one that was asked for. */
  readonly unread: number;
  /** Changes that were noted of images, by location. */
  readonly changed: Readonly<Record<string, number>>;
}

export async function contentsOf(location: string): Promise<Contents> {
  const database = await openCatalog(location);
  try {
    const tables: Record<string, readonly object[]> = {};
    for (const [name, text] of Object.entries(QUERIES)) {
      tables[name] = (await database.query(text)).rows;
    }
    const { rows } = await database.query<{ count: number }>(
      'select count(*)::int4 as count from qsnap.images where have <> wanted',
    );
    const changes = await database.query<{ location: string; count: number }>(
      `select location, count(*)::int4 as count
      from qsnap.changes join qsnap.images on images.id = image_id group by location`,
    );
    return {
      tables,
      unread: rows[0]!.count,
      changed: Object.fromEntries(changes.rows.map((row) => [row.location, row.count])),
    };
  } finally {
    await database.close();
  }
}
