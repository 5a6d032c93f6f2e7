import { readTimeline } from '../../../index.js';
import { compareDates, printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { shownLocation } from '../../remote/location.js';
import { oneSafeLine } from '../../text.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import { timelineBodyfile } from '../present/timeline-bodyfile.js';
import { timelineCsv } from '../present/timeline-csv.js';
import { timelineDfxml } from '../present/timeline-dfxml.js';
import { timelineJson } from '../present/timeline-json.js';
import {
  isRead,
  type AllTimelines,
  type ImageTimeline,
  type TimelineResult,
} from '../present/timeline-rows.js';
import { timelineLines } from '../present/timeline-text.js';
import { withImage, type OpenedImage } from '../reading.js';
import { reportFailure } from '../report.js';
import { lacks } from '../unread.js';

/** Flags of `timeline`. */
export interface TimelineFlags {
  readonly format?: 'text' | 'csv' | 'bodyfile' | 'dfxml' | 'json';
  /** False: what the host tells of the files is left out. */
  readonly fileDates: boolean;
  /** Of qsnap. */
  readonly version: string;
}

/** `qsnap timeline IMAGE…` */
export async function timeline(
  paths: readonly string[],
  flags: TimelineFlags,
  context: Context,
): Promise<ExitCode> {
  const results: TimelineResult[] = [];
  let isWhole = true;
  for (const location of paths) {
    try {
      const one = await withImage(location, context, (open) => timelineOf(open, flags, context));
      isWhole &&= !lacks(one.image, 'snapshot table', 'snapshot');
      results.push(one);
    } catch (error) {
      reportFailure(error, location, 'read', context);
      results.push({ path: shownLocation(location), error });
      isWhole = false;
    }
  }
  print(together(results), flags, context);
  return isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
}

async function timelineOf(
  { path, image, source, progress }: OpenedImage,
  { fileDates }: TimelineFlags,
  context: Context,
): Promise<ImageTimeline> {
  const hostDates = fileDates ? ((await source.dates?.()) ?? {}) : {};
  progress.phase(`comparing the snapshots of ${path}`);
  const found = await readTimeline(image, {
    hostDates,
    onProgress: (done) => {
      progress.update(done, 1);
    },
  });
  progress.stop();
  if (found.ancestryUnknown !== undefined) {
    printWarning(
      context,
      `${printableText(path)}: dates were not compared along the ancestry: ` +
        oneSafeLine(found.ancestryUnknown.message),
    );
  }
  return { path, image, hostDates, ...found };
}

function together(results: readonly TimelineResult[]): AllTimelines {
  const read = results.filter(isRead);
  const moments = read.flatMap(({ path, moments: own }) => own.map((one) => ({ path, ...one })));
  return {
    results,
    moments: moments.sort((a, b) => compareDates(a.date, b.date)),
    anomalies: read.flatMap(({ path, anomalies }) => anomalies.map((one) => ({ path, ...one }))),
  };
}

function print(
  all: AllTimelines,
  { format: wanted = 'text', version }: TimelineFlags,
  context: Context,
): void {
  const { stdout } = context.io;
  const format = context.json ? 'json' : wanted;
  if (format === 'json') printJson(context, timelineJson(all));
  else if (format === 'csv') stdout.write(timelineCsv(all));
  else if (format === 'bodyfile') stdout.write(timelineBodyfile(all));
  else if (format === 'dfxml') stdout.write(timelineDfxml(all, version));
  else printLines(context, timelineLines(all, context.style));
}
