import {
  findVmState,
  planDelete,
  planDeleteInPlace,
  type MappedVmState,
  type OpenImage,
  type Snapshot,
} from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { deletedLines, stayingLines } from '../present/edit-text.js';
import { selectSnapshot } from '../selection.js';

/** Flags of `delete`. */
export interface DeleteFlags extends EditFlags {
  readonly inPlace?: boolean;
}

const NO_ROOM_HINT =
  'make so much room, or delete with --in-place, which does with the room of what is deleted';
const NO_LIST_HINT =
  'make so much room for the shorter list; none is needed to delete the last snapshots of it, or all';

/** `qsnap delete IMAGE SNAPSHOT…` */
export function deleteSnapshots(
  path: string,
  selectors: readonly string[],
  flags: DeleteFlags,
  context: Context,
): Promise<ExitCode> {
  let doomed: readonly Snapshot[] = [];
  let staying: readonly MappedVmState[] = [];
  return edit(
    {
      path,
      flags,
      plan: async (image, planning) => {
        // Two selectors may mean one snapshot: it is deleted once.
        doomed = [...new Set(selectors.map((text) => selectSnapshot(image, text)))];
        staying = await stayingVmState(image, doomed);
        return flags.inPlace === true
          ? planDeleteInPlace(image, doomed, planning)
          : planDelete(image, doomed, planning);
      },
      noRoomHint: flags.inPlace === true ? NO_LIST_HINT : NO_ROOM_HINT,
      doneLines: (plan, report, image) => [
        ...deletedLines(path, doomed, plan, report, image),
        ...stayingLines(staying),
      ],
      plannedLines: () => stayingLines(staying),
    },
    context,
  );
}

/** Where VM state goes with what is deleted: that which other disks map, and no entry tells of. */
async function stayingVmState(
  image: OpenImage,
  doomed: readonly Snapshot[],
): Promise<readonly MappedVmState[]> {
  const mapped = await findVmState(image);
  const isDoomed = ({ snapshot }: MappedVmState): boolean =>
    snapshot !== undefined && doomed.includes(snapshot);
  if (!mapped.some(isDoomed)) return [];
  return mapped.filter((one) => !isDoomed(one) && one.behindBytes > 0);
}
