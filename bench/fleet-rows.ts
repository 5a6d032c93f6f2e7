/** A catalogue of many images that nobody has: rows by SQL, the same on every database. */
import type { Database } from '../src/cli/fleet/database/database.js';

export interface FleetSize {
  readonly images: number;
  /** Of each image. */
  readonly snapshots: number;
  /** Sets of disks that hold something together, of each image. */
  readonly shares: number;
}

/** Of ten images one is an overlay, of a hundred one failed; a snapshot a day, the newest today. */
const statements = ({ images, snapshots, shares }: FleetSize): readonly string[] => [
  `insert into qsnap.places (location, policy, hashes, force_share, added_at)
    values ('/fleet', '{}', true, false, '2026-11-22')`,
  `insert into qsnap.images (location, store, place, state, wanted, have, file_bytes, cluster_bytes,
      virtual_bytes, snapshot_count, snapshot_table_bytes, backing_name, backing_location, data_bytes,
      metadata_bytes, free_bytes, leaked_bytes, error_code, error_message, added_at, seen_at, read_at)
    select '/fleet/' || n || '.qcow2', 'file', '/fleet', case n % 100 when 7 then 'failed' else 'read' end,
      1, 1, 2::int8 ^ 33, 65536, 2::int8 ^ 36, ${snapshots}, ${snapshots} * 64,
      case n % 10 when 3 then n || '.base' end, case n % 10 when 3 then '/fleet/' || n || '.base' end,
      2::int8 ^ 32, 2::int8 ^ 22, 65536 * n, n % 3 * 65536,
      case n % 100 when 7 then 'HEADER_INVALID' end, case n % 100 when 7 then 'no header' end,
      '2026-11-22', '2026-11-22', '2026-11-22'
    from generate_series(1, ${images}) as n`,
  `insert into qsnap.disks (image_id, position, snapshot_id, name, taken_at, taken_nanoseconds, virtual_bytes,
      vm_state_bytes, mapped_bytes, exclusive_bytes, shared_bytes, freed_bytes, l1_bytes, entry_bytes,
      parent_position, certainty, content_sha256)
    select id, p, case when p > 0 then p::text end, case when p > 0 then 'auto-' || p end,
      case when p > 0 then timestamptz '2026-11-22 03:00+00' - (${snapshots} - p) * interval '1 day' + id * interval '1 second' end,
      case when p > 0 then 0 end, 2::int8 ^ 36, 0, 2::int8 ^ 30, 65536 * (id * 31 + p * 17) % 10000,
      2::int8 ^ 29, case when p > 0 then 65536 * ((id * 31 + p * 17) % 10000) end, 512,
      case when p > 0 then 64 end, case when p > 1 then p - 1 end, 'tied',
      md5((id * 1000 + p)::text) || md5(case when p % 50 = 0 then '' else id::text end)
    from qsnap.images, generate_series(0, ${snapshots}) as p where state = 'read'`,
  `update qsnap.disks set content_sha256 = md5(position::text) || md5('') where position % 50 = 0 and position > 0`,
  `update qsnap.images set snapshot_numbers = numbers from (
      select image_id, string_agg(concat_ws(',', position, extract(epoch from taken_at)::int8, 0, 64), ',' order by position) as numbers
      from qsnap.disks where position > 0 group by image_id
    ) as listed where image_id = id`,
  // A reading stores all of an image together, and so do these rows.
  // What a disk wrote stays in the snapshots that follow, until it is overwritten; a part is still active.
  `insert into qsnap.shares (image_id, disks, bytes)
    select id, disks, 65536 * (1 + n % 97) from (
      select id, n, 1 + n % ${snapshots} as first, 1 + n % ${snapshots} + n / ${snapshots} * 7 as last
      from qsnap.images, generate_series(0, ${shares} - 1) as n where state = 'read'
    ) as runs, lateral (select case
      when last > ${snapshots} then int4multirange(int4range(0, 1), int4range(first, ${snapshots} + 1))
      else int4multirange(int4range(first, last + 1)) end as disks) as held
    order by id, n`,
  `insert into qsnap.findings (image_id, number, rule, rule_name, level, at, length, message)
    select id, n, 'QS1201', 'leaks', case n % 3 when 0 then 'error' when 1 then 'warning' else 'note' end, 0, 512, 'a finding'
    from qsnap.images, generate_series(0, 9) as n where state = 'read'`,
  `insert into qsnap.changes (image_id, found_at, what, was, became)
    select id, timestamptz '2026-11-22' - n * interval '1 day', 'snapshot', null, n || ' auto-' || n
    from qsnap.images, generate_series(0, 99) as n where state = 'read'`,
];

/** Fills an empty catalogue. */
export async function fillCatalog(database: Database, size: FleetSize): Promise<void> {
  for (const statement of statements(size)) await database.query(statement);
}
