const FIRST = `
create table qsnap.version (version integer not null);

-- Where images were asked for: a refresh looks there again.
create table qsnap.places (
  location text primary key,
  -- How its images are read: the rules that they are judged by; whether their content is hashed, and whether images are
  -- read while a guest writes.
  policy jsonb not null,
  hashes boolean not null,
  force_share boolean not null,
  added_at timestamptz not null,
  looked_at timestamptz,
  -- How often it was looked at: the clocks of several hosts tell no order.
  looks integer not null default 0
);

create table qsnap.images (
  id bigint generated always as identity primary key,
  -- An absolute path or a URL.
  location text not null unique,
  -- Whom limits are set for: 'file', 'https://host', 's3://bucket'.
  store text not null,
  place text not null references qsnap.places on delete cascade,
  -- 'waiting' until it is read the first time; then 'read', 'failed' (no image, or unreadable), 'gone'.
  state text not null default 'waiting',
  -- Which reading was asked for, and which one the rest of the row is from.
  wanted integer not null default 1,
  have integer not null default 0,
  -- Tells one version of the file from another: size, time and tables, or the server's ETag.
  stamp text not null default '',
  file_bytes bigint,
  allocated_bytes bigint,
  modified_at timestamptz,
  tables_sha256 text,
  format_version integer,
  cluster_bytes integer,
  refcount_bits integer,
  virtual_bytes bigint,
  compression text,
  encryption text,
  is_dirty boolean,
  is_corrupt boolean,
  snapshot_count integer,
  snapshot_table_bytes bigint,
  -- Of each snapshot its position, date in seconds and nanoseconds, and bytes in the snapshot table: one text is read
  -- many times as fast as a hundred rows.
  snapshot_numbers text,
  backing_name text,
  backing_format text,
  -- The backing file's location as a catalogue would have it; null where that can't be told.
  backing_location text,
  data_file_name text,
  data_bytes bigint,
  metadata_bytes bigint,
  free_bytes bigint,
  leaked_bytes bigint,
  tail_bytes bigint,
  -- Guest bytes in which the active disk differs from the snapshot that it grew from.
  changed_bytes bigint,
  findings_left_out integer,
  -- What of it could not be measured, and why.
  unmeasured text,
  error_code text,
  error_message text,
  added_at timestamptz not null,
  -- When a look at its place saw it last.
  seen_at timestamptz not null,
  -- Which look that was.
  seen_look integer not null default 0,
  read_at timestamptz
);
create index on qsnap.images (backing_location);
create index on qsnap.images (id) where have < wanted;
create index on qsnap.images (place, seen_look);

-- Position 0 is the active disk, i + 1 the snapshot at position i of the snapshot table.
create table qsnap.disks (
  image_id bigint not null references qsnap.images on delete cascade,
  position integer not null,
  snapshot_id text,
  name text,
  taken_at timestamptz,
  -- As stored: in a damaged table more than a second has.
  taken_nanoseconds bigint,
  virtual_bytes bigint,
  vm_state_bytes bigint,
  mapped_bytes bigint,
  exclusive_bytes bigint,
  shared_bytes bigint,
  -- What deleting this snapshot alone frees.
  freed_bytes bigint,
  l1_bytes bigint,
  entry_bytes integer,
  parent_position integer,
  -- How sure the parent is: told, tied, untold, first.
  certainty text,
  content_sha256 text,
  primary key (image_id, position)
);
create index on qsnap.disks (taken_at) where position > 0;
create index on qsnap.disks (freed_bytes desc) where position > 0;
create index on qsnap.disks (content_sha256) where content_sha256 is not null;

-- Bytes that become free once all of these disks are deleted.
create table qsnap.shares (
  image_id bigint not null references qsnap.images on delete cascade,
  bytes bigint not null,
  -- The first and the last of these disks, and whether all between them are among them. They stand in front of the
  -- disks, since a column of any length makes those behind it slow to read.
  first_disk integer not null generated always as (lower(disks)) stored,
  last_disk integer not null generated always as (upper(disks) - 1) stored,
  is_run boolean not null generated always as (disks = int4multirange(range_merge(disks))) stored,
  disks int4multirange not null
);
create index on qsnap.shares (image_id);

create table qsnap.findings (
  image_id bigint not null references qsnap.images on delete cascade,
  number integer not null,
  rule text not null,
  rule_name text not null,
  level text not null,
  at bigint,
  length bigint,
  message text not null,
  primary key (image_id, number)
);
create index on qsnap.findings (level, rule);

-- What readings found different from the reading before.
create table qsnap.changes (
  id bigint generated always as identity primary key,
  image_id bigint not null references qsnap.images on delete cascade,
  found_at timestamptz not null,
  what text not null,
  was text,
  became text
);
create index on qsnap.changes (image_id);
create index on qsnap.changes (found_at);

create view qsnap.snapshots as
  select images.location, disks.*
  from qsnap.disks join qsnap.images on images.id = disks.image_id
  where disks.position > 0 and images.state = 'read';
`;

/** What was read of large disks whose hashes are not whole yet. */
const HASH_RANGES = `
create table qsnap.hash_ranges (
  image_id bigint not null references qsnap.images on delete cascade,
  -- For which reading of the image.
  reading integer not null,
  -- The version of the image that all of them are of.
  version text not null,
  position integer not null,
  first_piece bigint not null,
  pieces bigint not null,
  -- In hex, one after the other; null: not read yet; empty: the disk can't be read.
  digests text,
  primary key (image_id, position, first_piece)
);
`;

/**
 * The tables of a catalogue: statements that lead from each version to the next one, from an empty database on. Sizes are
 * in bytes. `docs/catalog.md` tells people of the tables; they are asked by SQL, and so a name here is a promise.
 */
export const STEPS: readonly string[] = [FIRST, HASH_RANGES];
