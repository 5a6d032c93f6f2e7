/** What tests leave out, and why: a line for each reason. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const leftOut = new Map<string, number>();

/** Notes that something is not tried. `what` says what it is, and why. */
export function leaveOut(what: string): void {
  leftOut.set(what, (leftOut.get(what) ?? 0) + 1);
}

/** One in so many of some cases, so that a plain run of all tests takes minutes; all of them with `QSNAP_ROUNDS`. */
export function oneIn<T>(share: number, cases: readonly T[]): readonly T[] {
  if (process.env['QSNAP_ROUNDS'] !== undefined) return cases;
  const chosen = cases.filter((_, i) => i % share === 0);
  for (let i = chosen.length; i < cases.length; i++) leaveOut('cases that QSNAP_ROUNDS=1 tries');
  return chosen;
}

/** Tells what was left out since it was last told. Called after the last test of every file. */
export function tellLeftOut(): void {
  const file = path.relative('', expect.getState().testPath ?? '');
  for (const [what, count] of leftOut) {
    const times = count === 1 ? '' : ` (${count} times)`;
    process.stderr.write(`left out: ${file}: ${what}${times}\n`);
  }
  leftOut.clear();
}

/**
 * `describe` for tests that need what not every machine has. Where something is lacking they are
 * reported as skipped, with a line that says so, or fail, if the environment sets `required` to 1.
 */
export function describeUnless(
  lack: string | undefined,
  required: string,
  name: string,
  fn: () => void,
): void {
  if (lack === undefined) {
    describe(name, fn);
    return;
  }
  const isRequired = process.env[required] === '1';
  if (!isRequired) process.stderr.write(`skipped: ${name}: ${lack}\n`);
  describe(name, () => {
    test('needs what is not here', ({ skip }) => {
      if (isRequired) throw new Error(lack);
      skip(lack);
    });
  });
}
