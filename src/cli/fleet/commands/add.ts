import type { ProfileName } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress } from '../../progress.js';
import { countText, oneSafeLine } from '../../text.js';
import { printJson, printLines, printWarning, type Context } from '../../qsnap/context.js';
import { shownLocation } from '../../remote/location.js';
import { chosenPolicy } from '../../qsnap/policy/chosen-policy.js';
import type { Database } from '../database/database.js';
import { placeOf } from '../places/find-images.js';
import { forgetPlace, keepPlace, type Kept } from '../places/keep-place.js';
import { syncPlace, type SyncTotals } from '../places/sync-place.js';
import { Queue } from '../queue/queue.js';
import { withCatalog, type CatalogFlags } from '../with-catalog.js';
import { stateCounts } from './status.js';
import { workThrough, type WorkFlags } from './work.js';

/** Flags of `catalog refresh`. */
export interface RefreshFlags extends CatalogFlags, WorkFlags {
  /** Read images again that look as they did. */
  readonly all?: boolean;
  /** False: leave the reading to workers. */
  readonly wait?: boolean;
}

/** Flags of `catalog add`. */
export interface AddFlags extends RefreshFlags {
  readonly profile?: readonly ProfileName[];
  readonly policy?: string;
  readonly hash?: boolean;
}

/** `qsnap catalog add PLACE…` */
export async function catalogAdd(
  words: readonly string[],
  flags: AddFlags,
  context: Context,
): Promise<ExitCode> {
  const isChosen = flags.profile !== undefined || flags.policy !== undefined;
  const policy = isChosen ? await chosenPolicy(flags, context) : undefined;
  if (isChosen && policy === undefined) return EXIT_CODES.notDone.code;
  const places = words.map(placeOf);
  const secret = places.find((place) => shownLocation(place) !== place);
  if (secret !== undefined) {
    context.io.stderr.write(
      `qsnap: ${printableText(shownLocation(secret))}: an address with a password or a signature is not kept\n` +
        'hint: what a catalogue has, many may read; keys of S3 are taken from the environment\n',
    );
    return EXIT_CODES.notDone.code;
  }
  const add = async (database: Database): Promise<ExitCode> => {
    const settings = { policy, hashes: flags.hash, forceShare: context.forceShare };
    const kept = new Map<string, Kept>();
    for (const place of places) {
      kept.set(place, await keepPlace(database, place, settings, context.io.now()));
    }
    return syncAndWork(database, kept, flags, context);
  };
  return withCatalog(flags, context, add, { makes: true });
}

/** `qsnap catalog refresh [PLACE…]` */
export function catalogRefresh(
  words: readonly string[],
  flags: RefreshFlags,
  context: Context,
): Promise<ExitCode> {
  return withCatalog(flags, context, async (database) => {
    const { rows } = await database.query<{ location: string }>(
      'select location from qsnap.places order by location',
    );
    const known = rows.map(({ location }) => location);
    const wanted = words.length === 0 ? known : words.map(placeOf);
    const unknown = wanted.find((place) => !known.includes(place));
    if (unknown !== undefined) {
      context.io.stderr.write(
        `qsnap: ${printableText(unknown)} is no place of this catalogue\n` +
          'hint: `qsnap catalog add` takes it in; `qsnap catalog status` lists those that there are\n',
      );
      return EXIT_CODES.notDone.code;
    }
    if (context.forceShare) {
      await database.query('update qsnap.places set force_share = true where location = any($1)', [
        wanted,
      ]);
    }
    return syncAndWork(
      database,
      new Map(wanted.map((place) => [place, 'as it was'])),
      flags,
      context,
    );
  });
}

async function syncAndWork(
  database: Database,
  places: ReadonlyMap<string, Kept>,
  flags: RefreshFlags,
  context: Context,
): Promise<ExitCode> {
  const queue = await Queue.open(database);
  try {
    const totals: Record<string, SyncTotals> = {};
    let isWhole = true;
    for (const [place, kept] of places) {
      // Other rules, or hashes, are for every image of a place.
      const all = flags.all === true || kept === 'changed';
      const found = await syncOne(database, queue, place, all, context);
      if (found === undefined && kept === 'new') await forgetPlace(database, place);
      if (found === undefined || found.unseen.length > 0) isWhole = false;
      if (found !== undefined) totals[place] = found;
    }
    const read =
      flags.wait === false ? undefined : await workThrough(database, queue, flags, context);
    // Nobody else tells the embedded engine how many rows there are, and it looks for them in slow ways then.
    if (database.isEmbedded && read !== undefined && read > 0) await database.script('analyze');
    const states = await stateCounts(database);
    if (context.json)
      printJson(context, { places: totals, ...(read !== undefined && { read }), states });
    else if (!context.quiet) printLines(context, doneLines(totals, read, states));
    const isDone = flags.wait === false || read !== undefined;
    return isWhole && isDone ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
  } finally {
    await queue.close();
  }
}

async function syncOne(
  database: Database,
  queue: Queue,
  place: string,
  rereads: boolean,
  context: Context,
): Promise<SyncTotals | undefined> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`looking at ${place}`);
  try {
    const totals = await syncPlace(database, queue, place, {
      now: context.io.now(),
      rereads,
      onFound: (count) => {
        progress.phase(`looking at ${place}: ${countText(count, 'image')}`);
      },
    });
    progress.stop();
    for (const { location, reason } of totals.unseen) {
      printWarning(context, `${printableText(location)}: ${oneSafeLine(reason)}`);
    }
    return totals;
  } catch (error) {
    progress.stop();
    if (!(error instanceof Error) || !isOutside(error)) throw error;
    const prefix = context.errorStyle.error('qsnap:');
    context.io.stderr.write(
      `${prefix} ${printableText(place)}: ${oneSafeLine(error.message)}\n` +
        'What the catalogue has of it is as it was.\n',
    );
    return undefined;
  }
}

/** Errors of the system and of servers, and of the engine; not those of the database. */
function isOutside(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined;
  return typeof code === 'string' && !/^[0-9][0-9A-Z]{4}$/.test(code);
}

function doneLines(
  places: Readonly<Record<string, SyncTotals>>,
  read: number | undefined,
  states: Readonly<Record<string, number>>,
): readonly string[] {
  const lines = Object.entries(places).map(
    ([place, { found, added, changed, gone }]) =>
      `${printableText(place)}: ${countText(found, 'image')}; ` +
      `${added} new, ${changed} to read again, ${gone} gone`,
  );
  if (read !== undefined) lines.push(`${countText(read, 'image')} looked into`);
  if ((states['waiting'] ?? 0) > 0) lines.push(`${countText(states['waiting']!, 'image')} waiting`);
  if ((states['failed'] ?? 0) > 0) {
    lines.push(
      `${countText(states['failed']!, 'image')} of the catalogue could not be read: ` +
        '`qsnap catalog query --failed` says why',
    );
  }
  return lines;
}
