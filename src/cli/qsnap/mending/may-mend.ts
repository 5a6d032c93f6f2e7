import { printableText } from '../../../internal.js';
import { printLines, type Context } from '../context.js';
import { rulesText } from '../present/mending-text.js';
import type { MendingPlan } from './plan-mending.js';

const CONFIRM_HINT = 'say so with --yes, or look first with --dry-run';

/**
 * Whether a person says yes.
 *
 * @param tellsPeople whether the plan was printed for people.
 * @returns false also where nobody is there to ask; then it is said what to do.
 */
export async function mayMend(
  path: string,
  plan: MendingPlan,
  tellsPeople: boolean,
  context: Context,
): Promise<boolean> {
  const { ask } = context.io;
  const what = rulesText(plan);
  const file = printableText(path);
  if (ask === undefined || !tellsPeople) {
    const prefix = context.errorStyle.error('qsnap:');
    const line = `${prefix} ${file}: ${what} would be mended, and nobody can be asked`;
    context.io.stderr.write(`${line}\nhint: ${CONFIRM_HINT}\nThe image is unchanged.\n`);
    return false;
  }
  const answer = await ask(`Mend ${what} of ${file}? [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return true;
  printLines(context, ['Nothing was mended.']);
  return false;
}
