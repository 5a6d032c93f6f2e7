import { printableText } from '../../../internal.js';
import { printJson, printWarning, type Context } from '../context.js';
import { PolicyError, type PolicyProblem } from './policy-error.js';

/** Who writes one file for another one makes more mistakes than anybody reads. */
const TOLD_MAX = 100;

/** `policy.yaml:3:5: there is no rule "snapshot"; did you mean "snapshots"?` */
export function problemText({ file, place, message }: PolicyProblem): string {
  const at = place === undefined ? '' : `:${place.line}:${place.column}`;
  return `${printableText(file)}${at}: ${message}`;
}

/** What is odd about a policy that is used all the same. */
export function warnOfPolicy(warnings: readonly PolicyProblem[], context: Context): void {
  for (const warning of warnings) printWarning(context, problemText(warning));
}

/**
 * Prints what is wrong with a policy: a line for each mistake, as compilers have them, so that editors find the place.
 * With `--json` also as `{"error": …}` on stdout, docs/schema/error.json.
 *
 * @throws what it is given, if that is no error of a policy.
 */
export function reportPolicyError(error: unknown, context: Context): asserts error is PolicyError {
  if (!(error instanceof PolicyError)) throw error;
  const { code, message, problems } = error;
  const told = problems.slice(0, TOLD_MAX);
  const left = problems.length - told.length;
  const lines = [
    `${context.errorStyle.error('qsnap:')} ${message}`,
    ...told.map(problemText),
    ...(left === 0 ? [] : [`and ${left} more`]),
  ];
  context.io.stderr.write(`${lines.join('\n')}\n`);
  if (!context.json) return;
  const json = told.map(({ file, place, message }) => ({ file, ...place, message }));
  printJson(context, { error: { code, kind: 'request', message, problems: json } });
}
