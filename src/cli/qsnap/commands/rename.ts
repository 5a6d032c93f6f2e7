import { planRename, type Snapshot } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { renamedLines } from '../present/edit-text.js';
import { selectSnapshot } from '../selection.js';

/** `qsnap rename IMAGE SNAPSHOT NEW-NAME` */
export function rename(
  path: string,
  selector: string,
  newName: string,
  flags: EditFlags,
  context: Context,
): Promise<ExitCode> {
  let renamed: Snapshot | undefined;
  return edit(
    {
      path,
      flags,
      plan: (image, planning) => {
        renamed = selectSnapshot(image, selector);
        return planRename(image, renamed, newName, {}, planning);
      },
      touched: () => ({ renamed: { snapshot: renamed!, name: newName } }),
      doneLines: () => renamedLines(path, renamed!, newName),
    },
    context,
  );
}
