/** What tests leave out, and why: a line for each reason. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const leftOut = new Map<string, number>();

/** Notes that something is not tried. `what` says what it is, and why. */
export function leaveOut(what: string): void {
  leftOut.set(what, (leftOut.get(what) ?? 0) + 1);
}

/** Whether a plain run of all tests goes on, which is to take minutes; with `QSNAP_ROUNDS` everything is tried. */
export const IS_PLAIN = process.env['QSNAP_ROUNDS'] === undefined;

/** Multiples of it, as those of the root of 2, fall evenly between whole numbers, whatever stretch of them one takes. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * One in so many of some cases; all of them with `QSNAP_ROUNDS`. The choice keeps no step: of cases in rows it takes some
 * of every row and of every column.
 *
 * @param row of lists that are alike, such as the edits of each fixture, the number of this one: each gets other cases.
 */
export function oneIn<T>(share: number, cases: readonly T[], row = 0): readonly T[] {
  if (!IS_PLAIN) return cases;
  const some = sliceOf(share, cases, row);
  const chosen = some.length > 0 ? some : cases.slice(row % cases.length).slice(0, 1);
  leaveOutOthers(cases, chosen);
  return chosen;
}

/**
 * One in so many of some cases, and of each kind at least one: beside the slice, which is that of `oneIn`, the first
 * cases of kinds that it lacks.
 *
 * @param kindsOf what a case has part in, such as the options of a command line.
 */
export function oneInWithEach<T>(
  share: number,
  cases: readonly T[],
  kindsOf: (one: T) => readonly string[],
  row = 0,
): readonly T[] {
  if (!IS_PLAIN) return cases;
  const chosen = new Set(sliceOf(share, cases, row));
  const seen = new Set([...chosen].flatMap(kindsOf));
  for (const one of cases) {
    const kinds = kindsOf(one);
    if (kinds.every((kind) => seen.has(kind))) continue;
    chosen.add(one);
    for (const kind of kinds) seen.add(kind);
  }
  const all = cases.filter((one) => chosen.has(one));
  leaveOutOthers(cases, all);
  return all;
}

/** How many times thinner slices are: a gate that many changes pass has less time than whoever makes one. */
export const THINNER = Number(process.env['QSNAP_THINNER'] ?? 1);

function sliceOf<T>(share: number, cases: readonly T[], row: number): readonly T[] {
  const part = share === 1 ? 1 : 1 / (share * THINNER);
  return cases.filter((_, i) => (i * GOLDEN + row * Math.SQRT2) % 1 < part);
}

function leaveOutOthers<T>(cases: readonly T[], chosen: readonly T[]): void {
  for (let i = chosen.length; i < cases.length; i++) leaveOut('cases that QSNAP_ROUNDS=1 tries');
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
