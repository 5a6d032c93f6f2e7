/** Command lines that both tools are given, each as a test: those on which they agree, and the others. */
import { expect, test } from 'vitest';
import { differencesOf, type DifferenceName } from './parity-differences.js';
import type { Pair } from './parity.js';
import { oneInWithEach } from '../support/left-out.js';

/** A command line on which the tools differ, and by what. */
export type DifferentLine = readonly [DifferenceName, ...(readonly string[])];

/** @param also what else has to be so, after both printed the same and ended alike. */
export function testEqual<Ran extends Pair>(
  lines: readonly (readonly string[])[],
  run: (argv: readonly string[]) => Promise<Ran>,
  also?: (ran: Ran, argv: readonly string[]) => void | Promise<void>,
): void {
  const cases = oneInWithEach(5, lines, optionsOf);
  test.each(cases.map((argv) => ({ argv, title: JSON.stringify(argv).slice(0, 90) })))(
    'equal: $title',
    async ({ argv }) => {
      const ran = await run(argv);
      expect(ran.ours).toEqual(ran.qemu);
      await also?.(ran, argv);
    },
  );
}

/** The options of a command line, and those of images in their values: `-o`, `cluster_size`. */
function optionsOf(argv: readonly string[]): readonly string[] {
  return argv.flatMap((word) => [
    ...(/^--?[A-Za-z][\w-]*/.exec(word) ?? []),
    ...(word.match(/[\w.-]+(?==)/g) ?? []),
  ]);
}

/** @param also what else has to be so, after they differed by that and nothing else. */
export function testDifferent<Ran extends Pair>(
  lines: readonly DifferentLine[],
  run: (argv: readonly string[]) => Promise<Ran>,
  also?: (ran: Ran, argv: readonly string[], name: DifferenceName) => void | Promise<void>,
): void {
  test.each(lines.map(([name, ...argv]) => ({ name, argv, title: argv.join(' ') })))(
    '$name: $title',
    async ({ name, argv }) => {
      const ran = await run(argv);
      expect(differencesOf(ran), JSON.stringify(ran)).toEqual([name]);
      await also?.(ran, argv, name);
    },
  );
}
