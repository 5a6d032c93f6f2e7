import { defineConfig } from 'vitest/config';

const kinds = [
  'unit',
  'contract',
  'golden',
  'hostile',
  'model',
  'crash',
  'oracle',
  'cli',
  'outside',
  'package',
];

/** Those whose tests replace modules, or look at what a process as a whole does. */
const isolated = new Set(['cli', 'outside', 'package']);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: kinds.map((name) => ({
      extends: true,
      test: { name, include: [`test/${name}/**/*.test.ts`], isolate: isolated.has(name) },
    })),
  },
});
