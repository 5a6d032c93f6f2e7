import { planRename, type Snapshot } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { edit } from '../editing.js';
import { renamedLines } from '../present/edit-text.js';
import { selectSnapshot } from '../selection.js';

/** `qsnap rename IMAGE SNAPSHOT NEW-NAME` */
export function rename(
  path: string,
  selector: string,
  newName: string,
  flags: { readonly dryRun?: boolean },
  context: Context,
): Promise<ExitCode> {
  let renamed: Snapshot | undefined;
  return edit(
    {
      path,
      dryRun: flags.dryRun === true,
      plan: (image) => {
        renamed = selectSnapshot(image, selector);
        return planRename(image, renamed, newName, {});
      },
      doneLines: () => renamedLines(path, renamed!, newName),
    },
    context,
  );
}
