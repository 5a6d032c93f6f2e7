import {
  planDelete,
  planDeleteInPlace,
  type MappedVmState,
  type Snapshot,
} from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { deletedLines } from '../present/edit-text.js';
import { selectSnapshot } from '../selection.js';
import { stayingJson, stayingLines, stayingVmState } from '../staying-vm-state.js';

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
      touched: () => ({ deleted: doomed }),
      noRoomHint: flags.inPlace === true ? NO_LIST_HINT : NO_ROOM_HINT,
      doneLines: (plan, report, image) => [
        ...deletedLines(path, doomed, plan, report, image),
        ...stayingLines(staying),
      ],
      plannedLines: () => stayingLines(staying),
      moreJson: () => stayingJson(staying),
    },
    context,
  );
}
