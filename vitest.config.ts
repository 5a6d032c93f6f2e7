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

export default defineConfig({
  test: {
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    // Kills, traces and running machines take minutes and programs of their own: asked for by name.
    projects: kinds
      .filter((name) => name !== 'outside' || process.env['QSNAP_OUTSIDE'])
      .map((name) => ({
        extends: true,
        test: { name, include: [`test/${name}/**/*.test.ts`] },
      })),
  },
});
