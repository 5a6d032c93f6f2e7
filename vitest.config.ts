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
          exclude: [SWAPPING],
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
