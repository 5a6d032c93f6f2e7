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
const shared = new Set(['unit']);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    setupFiles: ['test/support/setup.ts'],
    projects: kinds.map((name) => ({
      extends: true,
      test: { name, include: [`test/${name}/**/*.test.ts`], isolate: !shared.has(name) },
    })),
  },
});
