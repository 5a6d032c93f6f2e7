import { type Snapshot } from '../../../index.js';
import { printableText, type ActivePlace } from '../../../internal.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { snapshotJson } from '../present/snapshot-json.js';
import { snapshotTableLines } from '../present/snapshot-text.js';
import { placeOf, tellOfImages } from '../reading.js';
import { lacks, unreadJson } from '../unread.js';

/** `qsnap list IMAGE…` */
export function list(paths: readonly string[], context: Context): Promise<ExitCode> {
  return tellOfImages(paths, context, async (open) => {
    const { snapshots, header } = open.image;
    const place = await placeOf(open, context);
    const isWhole = !lacks(open.image, 'snapshot table', 'snapshot');
    const lines = listLines(snapshots, place, isWhole, context);
    return {
      json: {
        format: 'qcow2',
        'virtual-size': header.diskSizeBytes,
        snapshots: snapshots.map((snapshot) => snapshotJson(snapshot, place)),
        ...unreadJson(open.image),
      },
      lines: paths.length > 1 ? [`${printableText(open.path)}:`, ...lines] : lines,
      isWhole,
    };
  });
}

function listLines(
  snapshots: readonly Snapshot[],
  place: ActivePlace | undefined,
  isWhole: boolean,
  context: Context,
): readonly string[] {
  if (snapshots.length > 0) return snapshotTableLines(snapshots, place, context.style);
  if (context.quiet) return [];
  return [isWhole ? 'No snapshots.' : 'No snapshots can be read.'];
}
