import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const kinds = [
  'unit',
  'contract',
  'golden',
  'hostile',
  'model',
  'crash',
  'damage',
  'oracle',
  'cli',
  'browser',
  'outside',
  'package',
];

/** Their files share the modules of a worker: nothing in them looks at what another one left. */
const shared = new Set([
  'unit',
  'contract',
  'outside',
  'package',
  'oracle',
  'crash',
  'model',
  'golden',
  'damage',
  'hostile',
  'cli',
]);

/** These put other modules in the place of some, so that they need their own: a project beside that of their kind. */
const SWAPPING = 'test/cli/**/{failing,swapped}-files.test.ts';

/** Folders of many files that are alike in what they try: where turns are taken, each gets one in six of theirs. */
const inTurns = ['oracle', 'outside', 'hostile', 'crash', 'damage', 'cli/fleet'];
const TURNS = 6;

/** `QSNAP_TURN`, a number: which turn it is. Without it all files are run. */
const turn = process.env['QSNAP_TURN'];

/** Files that have another turn. */
const ofOtherTurns = inTurns.flatMap((kind) => {
  if (turn === undefined) return [];
  const names = readdirSync(`test/${kind}`, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.test.ts')).sort();
  const others = files.filter((_, i) => (i + Number(turn)) % TURNS !== 0);
  return others.map((name) => `test/${kind}/${name}`);
});

// Each project reads this file again.
if (ofOtherTurns.length > 0 && process.env['QSNAP_TURN_TOLD'] === undefined) {
  process.env['QSNAP_TURN_TOLD'] = '1';
  process.stderr.write(
    `left out: ${ofOtherTurns.length} files that have another turn (QSNAP_TURN)\n`,
  );
}

/** Projects whose calls of functions count as coverage: they need neither QEMU nor a build. */
const counted = new Set(['unit', 'contract']);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    // Images are made before the tests of a file: on a busy machine that takes as long as a test.
    hookTimeout: 60_000,
    pool: 'forks',
    // Tests of programs wait for them a third of the time.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    setupFiles: ['test/support/setup.ts'],
    coverage: {
      provider: 'custom',
      customProviderModule: 'test/calls/functions.ts',
      include: ['src/**/*.ts'],
      exclude: ['src/cli/**'],
      reporter: ['json'],
      reportOnFailure: true,
    },
    projects: [
      ...kinds.map((name) => ({
        extends: true as const,
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          exclude: [SWAPPING, ...ofOtherTurns],
          isolate: !shared.has(name),
          env: counted.has(name) ? { QSNAP_COUNTED: '1' } : {},
        },
      })),
      {
        extends: true as const,
        test: { name: 'cli-swapping', include: [SWAPPING], isolate: true },
      },
    ],
  },
});
