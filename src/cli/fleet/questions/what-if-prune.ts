import { choosePruned, type DatedSnapshot, type PruneRules } from '../../../index.js';
import { shortenedBytes } from '../../../internal.js';
import { localPeriods } from '../../qsnap/local-periods.js';
import type { Database, ReadingSql } from '../database/database.js';
import { isoText } from '../moment.js';
import { goneSetOf } from './gone-sets.js';
import { listedImages, type ListedImage } from './listed-images.js';

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
