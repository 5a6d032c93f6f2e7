import { planApply, type Snapshot } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { appliedLines } from '../present/edit-text.js';
import { dateNow } from '../snapshot-date.js';
import { selectSnapshot } from '../selection.js';

export interface ApplyFlags extends EditFlags {
  readonly discardChanges?: boolean;
  readonly saveAs?: string;
}

/** `qsnap apply IMAGE SNAPSHOT` */
export function apply(
  path: string,
  selector: string,
  flags: ApplyFlags,
  context: Context,
): Promise<ExitCode> {
  const { saveAs, discardChanges = false } = flags;
  const date = dateNow(context.io);
  let applied: Snapshot | undefined;
  return edit(
    {
      path,
      flags,
      plan: (image, planning) => {
        applied = selectSnapshot(image, selector);
        const options = {
          discardChanges,
          ...(saveAs !== undefined && { saveAs: { name: saveAs, date } }),
        };
        return planApply(image, applied, options, planning);
      },
      touched: () => ({ applied, date }),
      doneLines: (plan, report, image) => appliedLines(path, applied!, plan, report, image),
    },
    context,
  );
}
