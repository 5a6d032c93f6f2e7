import {
  findVmState,
  type MappedVmState,
  type ReadableImage,
  type Snapshot,
} from '../../../index.js';
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
      const vmState = await vmStateOf(open.image, snapshot);
      return {
        isWhole: !open.image.unread.some((one) => {
          return one.structure === 'snapshot' && one.snapshot === snapshot.index;
        }),
        json: {
          filename: open.path,
          snapshot: snapshotDetailJson(snapshot, place, vmState),
          ...unreadJson(open.image),
        },
        lines: snapshotDetailLines(open.path, snapshot, place, vmState),
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

/** What the disk of a snapshot maps as VM state; undefined where its L1 table can't be read. */
async function vmStateOf(
  image: ReadableImage,
  snapshot: Snapshot,
): Promise<Pick<MappedVmState, 'dataBytes' | 'behindBytes'> | undefined> {
  const isUnread = image.unread.some(({ snapshot: index }) => index === snapshot.index);
  if (isUnread) return undefined;
  const found = await findVmState(image, [snapshot]);
  return found[0] ?? { dataBytes: 0, behindBytes: 0 };
}
