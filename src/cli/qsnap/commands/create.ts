import { planCreate } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import type { DateValue } from '../date-option.js';
import { edit, type EditFlags } from '../editing.js';
import { createdLines } from '../present/edit-text.js';
import { dateNow } from '../snapshot-date.js';

export interface CreateFlags extends EditFlags {
  readonly date?: DateValue;
  readonly id?: string;
}

/** `qsnap create IMAGE NAME` */
export function create(
  path: string,
  name: string,
  flags: CreateFlags,
  context: Context,
): Promise<ExitCode> {
  const date = flags.date ?? dateNow(context.io);
  return edit(
    {
      path,
      flags,
      plan: (image, planning) =>
        planCreate(
          image,
          { name, date, ...(flags.id !== undefined && { id: flags.id }) },
          planning,
        ),
      touched: () => ({ date }),
      doneLines: (plan) => createdLines(path, plan),
    },
    context,
  );
}
