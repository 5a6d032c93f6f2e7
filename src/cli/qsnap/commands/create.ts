import { planCreate } from '../../../index.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import type { DateValue } from '../date-option.js';
import { edit } from '../editing.js';
import { createdLines } from '../present/edit-text.js';
import { dateNow } from '../snapshot-date.js';

export interface CreateFlags {
  readonly date?: DateValue;
  readonly id?: string;
  readonly dryRun?: boolean;
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
      dryRun: flags.dryRun === true,
      plan: (image) =>
        planCreate(image, { name, date, ...(flags.id !== undefined && { id: flags.id }) }),
      doneLines: (plan) => createdLines(path, plan),
    },
    context,
  );
}
