import type { Sql } from './database/database.js';
import type { DiskRecord, ImageRecord } from './examine/record.js';
import type { Task } from './queue/queue.js';
import { changesBetween, type KnownDisk, type KnownImage } from './changes.js';

/** What the database held of an image before. */
interface StoredImage extends KnownImage {
  readonly have: number;
  readonly wanted: number;
}

/**
 * Puts a reading of an image into the catalogue, in place of the one before, as part of a transaction.
 *
 * @param now when it was read.
 * @returns false where another reading is asked for by now, or the image is no longer in the catalogue.
 */
export async function storeRecord(
  sql: Sql,
  { image, reading }: Pick<Task, 'image' | 'reading'>,
  record: ImageRecord,
  now: Date,
): Promise<boolean> {
  const before = await knownImage(sql, image);
  if (before === undefined || before.wanted !== reading || before.have >= reading) return false;
  if (record.isGone) {
    await markGone(sql, image, reading, now);
    return true;
  }
  const disksBefore = before.have === 0 ? [] : await knownDisks(sql, image);
  const changes = changesBetween(before, disksBefore, record);
  const columns = Object.entries(columnsOf(record, now));
  const set = columns.map(([name], i) => `${name} = $${i + 3}`).join(', ');
  await sql.query(`${DROPS_RANGES} update qsnap.images set have = $2, ${set} where id = $1`, [
    image,
    reading,
    ...columns.map(([, value]) => value),
  ]);
  await replaceRows(sql, image, record, before.have > 0);
  await insertAll(
    sql,
    `insert into qsnap.changes (image_id, found_at, what, was, became)
      select $1, $2, * from jsonb_to_recordset($3) as t(what text, was text, became text)`,
    [image, now],
    changes,
  );
  return true;
}

/** Ranges of an image that has a result are for nobody to read any more. */
const DROPS_RANGES = 'with dropped as (delete from qsnap.hash_ranges where image_id = $1)';

/** The columns of `qsnap.images` that a reading fills. */
function columnsOf(record: ImageRecord, now: Date): Readonly<Record<string, unknown>> {
  const { facts, space, failure } = record;
  return {
    state: failure === undefined ? 'read' : 'failed',
    // What could not even be looked at is looked at again by the next refresh.
    stamp: record.stamp ?? '',
    modified_at: record.modifiedAt === undefined ? undefined : new Date(record.modifiedAt),
    read_at: now,
    error_code: failure?.code,
    error_message: failure?.message,
    file_bytes: exact(facts?.fileBytes),
    allocated_bytes: exact(facts?.allocatedBytes),
    tables_sha256: facts?.tablesSha256,
    format_version: facts?.formatVersion,
    cluster_bytes: facts?.clusterBytes,
    refcount_bits: facts?.refcountBits,
    virtual_bytes: exact(facts?.virtualBytes),
    compression: facts?.compression,
    encryption: facts?.encryption,
    is_dirty: facts?.isDirty,
    is_corrupt: facts?.isCorrupt,
    snapshot_count: facts?.snapshotCount,
    snapshot_table_bytes: exact(facts?.snapshotTableBytes),
    snapshot_numbers: snapshotNumbers(record),
    backing_name: facts?.backingName,
    backing_format: facts?.backingFormat,
    backing_location: facts?.backingLocation,
    data_file_name: facts?.dataFileName,
    data_bytes: exact(space?.dataBytes),
    metadata_bytes: exact(space?.metadataBytes),
    free_bytes: exact(space?.freeBytes),
    leaked_bytes: exact(space?.leakedBytes),
    tail_bytes: exact(space?.tailBytes),
    changed_bytes: exact(space?.changedBytes),
    findings_left_out: record.findingsLeftOut,
    unmeasured: record.unmeasured?.message,
  };
}

function snapshotNumbers({ disks, facts }: ImageRecord): string | undefined {
  if (facts?.snapshotCount === undefined) return undefined;
  const snapshots = disks.filter(({ position }) => position > 0);
  if (snapshots.length === 0) return undefined;
  return snapshots
    .map((one) => [one.position, one.takenAt, one.takenNanoseconds, one.entryBytes].join(','))
    .join(',');
}

/** A column of the database holds 64 bits; what a damaged table claims may be any number. */
export function exact(value: number | undefined): number | undefined {
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}

/** What was known of an image that is gone stays. */
async function markGone(sql: Sql, image: number, reading: number, now: Date): Promise<void> {
  await sql.query(
    `${DROPS_RANGES} update qsnap.images set have = $2, state = 'gone' where id = $1`,
    [image, reading],
  );
  await sql.query(
    `insert into qsnap.changes (image_id, found_at, what, was, became)
    values ($1, $2, 'state', 'there', 'gone')`,
    [image, now],
  );
}

async function knownImage(sql: Sql, image: number): Promise<StoredImage | undefined> {
  const { rows } = await sql.query<StoredImage>(
    `select have, wanted, state, file_bytes, virtual_bytes, is_dirty, is_corrupt, backing_name,
      error_code, tables_sha256
    from qsnap.images where id = $1 for update`,
    [image],
  );
  return rows[0];
}

async function knownDisks(sql: Sql, image: number): Promise<readonly KnownDisk[]> {
  const { rows } = await sql.query<KnownDisk>(
    `select position, snapshot_id, name, extract(epoch from taken_at)::int8 as taken_at,
      taken_nanoseconds, content_sha256
    from qsnap.disks where image_id = $1 order by position`,
    [image],
  );
  return rows;
}

async function replaceRows(
  sql: Sql,
  image: number,
  record: ImageRecord,
  hadSome: boolean,
): Promise<void> {
  if (hadSome) {
    await sql.query(
      `with disks as (delete from qsnap.disks where image_id = $1),
        shares as (delete from qsnap.shares where image_id = $1)
      delete from qsnap.findings where image_id = $1`,
      [image],
    );
  }
  await insertAll(
    sql,
    `insert into qsnap.disks (image_id, position, snapshot_id, name, taken_at, taken_nanoseconds,
      virtual_bytes, vm_state_bytes, mapped_bytes, exclusive_bytes, shared_bytes, freed_bytes,
      l1_bytes, entry_bytes, parent_position, certainty, content_sha256)
    select $1, position, snapshot_id, name, to_timestamp(taken_at), taken_nanoseconds,
      virtual_bytes, vm_state_bytes, mapped_bytes, exclusive_bytes, shared_bytes, freed_bytes,
      l1_bytes, entry_bytes, parent_position, certainty, content_sha256
    from jsonb_to_recordset($2) as t(position int, snapshot_id text, name text, taken_at float8,
      taken_nanoseconds int8, virtual_bytes int8, vm_state_bytes int8, mapped_bytes int8,
      exclusive_bytes int8, shared_bytes int8, freed_bytes int8, l1_bytes int8, entry_bytes int,
      parent_position int, certainty text, content_sha256 text)`,
    [image],
    record.disks.map(diskRow),
  );
  await insertAll(
    sql,
    `insert into qsnap.shares (image_id, disks, bytes)
    select $1, disks, bytes from jsonb_to_recordset($2) as t(disks int4multirange, bytes int8)`,
    [image],
    record.shares,
  );
  await insertAll(
    sql,
    `insert into qsnap.findings (image_id, number, rule, rule_name, level, at, length, message)
    select $1, number, rule, rule_name, level, at, length, message
    from jsonb_to_recordset($2) as t(number int, rule text, rule_name text, level text, at int8,
      length int8, message text)`,
    [image],
    record.findings.map(({ ruleName, at, length, ...rest }, number) => ({
      ...rest,
      number,
      rule_name: ruleName,
      at: exact(at),
      length: exact(length),
    })),
  );
}

function diskRow(disk: DiskRecord): Record<string, unknown> {
  return {
    position: disk.position,
    snapshot_id: disk.snapshotId,
    name: disk.name,
    taken_at: disk.takenAt,
    taken_nanoseconds: disk.takenNanoseconds,
    virtual_bytes: exact(disk.virtualBytes),
    vm_state_bytes: exact(disk.vmStateBytes),
    mapped_bytes: exact(disk.mappedBytes),
    exclusive_bytes: exact(disk.exclusiveBytes),
    shared_bytes: exact(disk.sharedBytes),
    freed_bytes: exact(disk.freedBytes),
    l1_bytes: exact(disk.l1Bytes),
    entry_bytes: disk.entryBytes,
    parent_position: disk.parentPosition,
    certainty: disk.certainty,
    content_sha256: disk.contentSha256,
  };
}

/** Inserts all rows by one statement whose last value is a JSON list of them. */
async function insertAll(
  sql: Sql,
  statement: string,
  values: readonly unknown[],
  rows: readonly object[],
): Promise<void> {
  if (rows.length > 0) await sql.query(statement, [...values, JSON.stringify(rows)]);
}
