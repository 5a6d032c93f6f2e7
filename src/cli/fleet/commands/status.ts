import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText } from '../../text.js';
import { printJson, printLines, type Context } from '../../qsnap/context.js';
import type { Database } from '../database/database.js';
import { placeOf } from '../places/find-images.js';
import { withCatalog, type CatalogFlags } from '../with-catalog.js';

/** Images by state; those that wait for a reading count as waiting, whatever they were before. */
export async function stateCounts(database: Database): Promise<Readonly<Record<string, number>>> {
  const { rows } = await database.query<{ state: string; count: number }>(
    `select case when have < wanted then 'waiting' else state end as state, count(*)::int4 as count
    from qsnap.images group by 1 order by 1`,
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** `qsnap catalog status` */
export function catalogStatus(flags: CatalogFlags, context: Context): Promise<ExitCode> {
  return withCatalog(flags, context, async (database) => {
    const { rows: places } = await database.query<{
      location: string;
      images: number;
      looked_at: string | null;
    }>(
      `select places.location, count(images.id)::int4 as images, looked_at
      from qsnap.places left join qsnap.images on images.place = places.location
      group by places.location order by 1`,
    );
    const states = await stateCounts(database);
    if (context.json) {
      printJson(context, { database: database.label, places, states });
      return EXIT_CODES.done.code;
    }
    printLines(context, [
      `catalogue in ${printableText(database.label)}`,
      ...places.map(
        ({ location, images, looked_at: at }) =>
          `${printableText(location)}: ${countText(images, 'image')}, looked at ${at ?? 'never'}`,
      ),
      ...Object.entries(states).map(([state, count]) => `${state}: ${countText(count, 'image')}`),
    ]);
    return EXIT_CODES.done.code;
  });
}

/** `qsnap catalog remove PLACE…`: only what the catalogue knows of it; no image is touched. */
export function catalogRemove(
  words: readonly string[],
  flags: CatalogFlags,
  context: Context,
): Promise<ExitCode> {
  const places = words.map(placeOf);
  return withCatalog(flags, context, async (database) => {
    const { rows } = await database.query<{ location: string }>(
      'delete from qsnap.places where location = any($1) returning location',
      [places],
    );
    const removed = rows.map(({ location }) => location);
    const unknown = places.filter((place) => !removed.includes(place));
    for (const place of unknown) {
      context.io.stderr.write(`qsnap: ${printableText(place)} is no place of this catalogue\n`);
    }
    if (context.json) printJson(context, { removed });
    else if (!context.quiet) {
      printLines(
        context,
        removed.map((place) => `${printableText(place)} is out of the catalogue`),
      );
    }
    return unknown.length === 0 ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
  });
}
