import { choosePruned, type DatedSnapshot, type PruneRules } from '../../../index.js';
import { printedBytes, shortenedBytes, utf8Text } from '../../../internal.js';
import { localPeriods } from '../../qsnap/local-periods.js';
import type { Database, ReadingSql } from '../database/database.js';
import { isoText } from '../moment.js';
import { goneSetOf } from './gone-sets.js';

/** A snapshot that would go. */
export interface GoneSnapshot {
  /** As in `qsnap.disks`. */
  readonly position: number;
  readonly snapshot_id: string;
  readonly name: string;
  readonly taken_at: string;
}

/** What a prune would do to an image. */
export interface PrunedImage {
  readonly id: number;
  readonly location: string;
  readonly snapshots: number;
  /** Positions in `qsnap.disks`, ascending. */
  readonly gone: readonly number[];
  /** Undefined where the image could not be measured. */
  readonly freedBytes: number | undefined;
}

/**
 * What `qsnap prune` would choose of every image that could be read, and what that frees: images of which something goes,
 * those that free most first.
 *
 * @throws QsnapError PRUNE_RULES_INVALID.
 */
export async function pruneAll(
  database: Database,
  rules: PruneRules<DatedSnapshot>,
): Promise<readonly PrunedImage[]> {
  const [pruned] = await pruneAllBy(database, [rules]);
  return pruned!;
}

/** The same by several rules: a list of images for each of them. */
export function pruneAllBy(
  database: Database,
  several: readonly PruneRules<DatedSnapshot>[],
): Promise<readonly (readonly PrunedImage[])[]> {
  // Also where the catalogue is empty.
  for (const rules of several) choosePruned([], rules, localPeriods);
  const matchesNames = several.some(({ among, keep }) => among !== undefined || keep !== undefined);
  return database.reading(async (sql) => {
    const images = await listedImages(sql, matchesNames);
    const all: (readonly PrunedImage[])[] = [];
    for (const rules of several) all.push(await prunedOf(sql, images, rules));
    return all;
  });
}

async function prunedOf(
  sql: ReadingSql,
  images: readonly ListedImage[],
  rules: PruneRules<DatedSnapshot>,
): Promise<readonly PrunedImage[]> {
  const chosen = images
    .map((image) => ({ image, gone: goneOf(image, rules) }))
    .filter(({ gone }) => gone.length > 0);
  const held = await heldBytes(sql, chosen);
  return chosen
    .map(({ image, gone }) => ({
      id: image.id,
      location: image.location,
      snapshots: image.snapshots.length,
      gone,
      freedBytes: image.isMeasured ? (held.get(image.id) ?? 0) + shortened(image, gone) : undefined,
    }))
    .sort(byFreed);
}

/** Positions of disks begin with the active one. */
const shortened = (image: ListedImage, gone: readonly number[]): number =>
  shortenedBytes(
    image,
    gone.map((position) => position - 1),
  );

/** What the choice and the shortening of the snapshot table need of an image. */
interface ListedImage {
  readonly id: number;
  readonly location: string;
  readonly isMeasured: boolean;
  readonly clusterBytes: number;
  readonly snapshotTableBytes: number;
  readonly snapshots: readonly DatedSnapshot[];
  /** By position in the snapshot table. */
  readonly entryBytes: readonly number[];
}

interface ListedRow {
  readonly id: number;
  readonly location: string;
  readonly is_measured: boolean;
  readonly cluster_bytes: number;
  readonly snapshot_table_bytes: number;
  readonly snapshots: string;
  readonly names: readonly string[] | null;
}

/** A row for each image, and names only where they count: rows cost more than what they hold. */
async function listedImages(sql: ReadingSql, withNames: boolean): Promise<readonly ListedImage[]> {
  const names = withNames
    ? `(select json_agg(name order by position) from qsnap.disks where image_id = id and position > 0)`
    : 'null::json';
  const { rows } = await sql.query<ListedRow>(
    `select id, location, unmeasured is null as is_measured, cluster_bytes, snapshot_table_bytes,
      snapshot_numbers as snapshots, ${names} as names
    from qsnap.images where state = 'read' and snapshot_numbers is not null`,
  );
  return rows.map(listedImage);
}

/** Numbers of a snapshot in the text. */
const FIELDS = 4;

function listedImage(row: ListedRow): ListedImage {
  const numbers = row.snapshots.split(',').map(Number);
  const snapshots: DatedSnapshot[] = [];
  const entryBytes: number[] = [];
  for (let at = 0; at < numbers.length; at += FIELDS) {
    const index = numbers[at]! - 1;
    const name = row.names?.[at / FIELDS];
    snapshots.push({
      index,
      name: name === undefined ? '' : nameOf(name),
      date: { seconds: numbers[at + 1]!, nanoseconds: numbers[at + 2]! },
    });
    entryBytes[index] = numbers[at + 3]!;
  }
  return {
    id: row.id,
    location: row.location,
    isMeasured: row.is_measured,
    clusterBytes: row.cluster_bytes,
    snapshotTableBytes: row.snapshot_table_bytes,
    snapshots,
    entryBytes,
  };
}

/** The catalogue has names as they are printed; patterns are for names. */
const nameOf = (printed: string): string =>
  printed.includes('\\') ? utf8Text(printedBytes(printed)) : printed;

function goneOf(image: ListedImage, rules: PruneRules<DatedSnapshot>): readonly number[] {
  return choosePruned(image.snapshots, rules, localPeriods)
    .filter(({ keptBy }) => keptBy.length === 0)
    .map(({ snapshot }) => snapshot.index + 1)
    .sort((a, b) => a - b);
}

interface Chosen {
  readonly image: ListedImage;
  readonly gone: readonly number[];
}

/**
 * By image: bytes of the sets of disks of which all go. A set that is one run is compared by its ends, which is several
 * times as fast as to compare ranges.
 */
async function heldBytes(
  sql: ReadingSql,
  pruned: readonly Chosen[],
): Promise<ReadonlyMap<number, number>> {
  const sets = pruned.map(({ image, gone }) => ({ id: image.id, ...goneSetOf(gone) }));
  const { rows } = await sql.query<{ image_id: number; bytes: number }>(
    `select id as image_id, bytes
    from (
      select id, first, last, reach::int4[] as reach, ranges::int4multirange as ranges
      from unnest($1::int8[], $2::int4[], $3::int4[], $4::text[], $5::text[])
        as given(id, first, last, reach, ranges)
      offset 0
    ) as gone, lateral (
      select coalesce(sum(bytes), 0)::float8 as bytes from qsnap.shares
      where image_id = gone.id and first_disk >= first and last_disk <= last
        and (reach is null or reach[first_disk] >= last_disk or (not is_run and disks <@ ranges))
    ) as held`,
    [
      sets.map(({ id }) => id),
      sets.map(({ first }) => first),
      sets.map(({ last }) => last),
      sets.map(({ reach }) => (reach === undefined ? null : `{${reach.join(',')}}`)),
      sets.map(({ ranges }) => ranges ?? null),
    ],
  );
  return new Map(rows.map(({ image_id: id, bytes }) => [id, bytes]));
}

/** Those that are not measured come last; equal ones by name. */
function byFreed(a: PrunedImage, b: PrunedImage): number {
  const order = (b.freedBytes ?? -Infinity) - (a.freedBytes ?? -Infinity);
  if (order !== 0 && !Number.isNaN(order)) return order;
  return a.location < b.location ? -1 : 1;
}

/** The snapshots that would go, by image. */
export async function goneSnapshots(
  database: Database,
  images: readonly PrunedImage[],
): Promise<ReadonlyMap<number, readonly GoneSnapshot[]>> {
  const { rows } = await database.reading((sql) =>
    sql.query<GoneSnapshot & { readonly image_id: number }>(
      `select image_id, position, snapshot_id, name, taken_at
      from qsnap.disks join unnest($1::int8[], $2::int4multirange[]) as gone(id, positions)
        on image_id = id and position <@ positions
      order by image_id, position`,
      [images.map(({ id }) => id), images.map(({ gone }) => rangesOf(gone))],
    ),
  );
  const byImage = new Map<number, GoneSnapshot[]>();
  for (const { image_id: id, ...row } of rows) {
    const one = { ...row, taken_at: isoText(row.taken_at) };
    const some = byImage.get(id);
    if (some === undefined) byImage.set(id, [one]);
    else some.push(one);
  }
  return byImage;
}

const rangesOf = (positions: readonly number[]): string =>
  goneSetOf(positions).ranges ?? `{[${positions[0]!},${positions.at(-1)! + 1})}`;
