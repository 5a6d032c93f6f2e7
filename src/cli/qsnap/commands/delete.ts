import { planDelete, type Snapshot } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { deletedLines } from '../present/edit-text.js';
import { selectSnapshot } from '../selection.js';

/** `qsnap delete IMAGE SNAPSHOT…` */
export function deleteSnapshots(
  path: string,
  selectors: readonly string[],
  flags: EditFlags,
  context: Context,
): Promise<ExitCode> {
  let doomed: readonly Snapshot[] = [];
  return edit(
    {
      path,
      flags,
      plan: (image) => {
        // Two selectors may mean one snapshot: it is deleted once.
        doomed = [...new Set(selectors.map((text) => selectSnapshot(image, text)))];
        return planDelete(image, doomed);
      },
      doneLines: (plan, report, image) => deletedLines(path, doomed, plan, report, image),
    },
    context,
  );
}
