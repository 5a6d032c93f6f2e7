import {
  findVmState,
  type MappedVmState,
  type ReadableImage,
  type Snapshot,
} from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { snapshotDetailJson } from '../present/snapshot-json.js';
import { snapshotDetailLines } from '../present/snapshot-text.js';
import { placeOf, tellOfImage, withImage } from '../reading.js';
import { selectSnapshot } from '../selection.js';
import { unreadJson } from '../unread.js';

/** `qsnap show IMAGE SNAPSHOT` */
export async function show(path: string, selector: string, context: Context): Promise<ExitCode> {
  return tellOfImage(path, context, () =>
    withImage(path, context, async (open) => {
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
    }),
  );
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
