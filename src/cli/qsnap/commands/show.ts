import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../context.js';
import { snapshotDetailJson } from '../present/snapshot-json.js';
import { snapshotDetailLines } from '../present/snapshot-text.js';
import { placeOf, withImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import { unreadJson } from '../unread.js';

/** `qsnap show IMAGE SNAPSHOT` */
export async function show(path: string, selector: string, context: Context): Promise<ExitCode> {
  try {
    const told = await withImage(path, context, async (open) => {
      const snapshot = selectSnapshot(open.image, selector);
      const place = await placeOf(open, context);
      return {
        isWhole: !open.image.unread.some((one) => {
          return one.structure === 'snapshot' && one.snapshot === snapshot.index;
        }),
        json: {
          filename: open.path,
          snapshot: snapshotDetailJson(snapshot, place),
          ...unreadJson(open.image),
        },
        lines: snapshotDetailLines(open.path, snapshot, place),
      };
    });
    if (context.json) printJson(context, told.json);
    else printLines(context, told.lines);
    return told.isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
  } catch (error) {
    reportFailure(error, path, 'read', context);
    if (context.json) printJson(context, { error: errorJson(error, 'read') });
    return EXIT_CODES.notDone.code;
  }
}
