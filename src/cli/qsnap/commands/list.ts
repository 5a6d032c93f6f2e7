import { printableText, type Snapshot } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { snapshotJson } from '../present/snapshot-json.js';
import { snapshotTableLines } from '../present/snapshot-text.js';
import { activeStateOf, tellOfImages } from '../reading.js';

/** `qsnap list IMAGE…` */
export function list(paths: readonly string[], context: Context): Promise<ExitCode> {
  return tellOfImages(paths, context, async (open) => {
    const { snapshots, header } = open.image;
    const active = await activeStateOf(open, context);
    const lines = listLines(snapshots, active, context);
    return {
      json: {
        format: 'qcow2',
        'virtual-size': header.diskSizeBytes,
        snapshots: snapshots.map((snapshot) => snapshotJson(snapshot, active)),
      },
      lines: paths.length > 1 ? [`${printableText(open.path)}:`, ...lines] : lines,
    };
  });
}

function listLines(
  snapshots: readonly Snapshot[],
  active: ReadonlySet<number> | undefined,
  context: Context,
): readonly string[] {
  if (snapshots.length > 0) return snapshotTableLines(snapshots, active, context.style);
  return context.quiet ? [] : ['No snapshots.'];
}
