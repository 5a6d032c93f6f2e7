import { existsSync, statfsSync } from 'node:fs';
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

const MEMORY = '/dev/shm';
/** The file system that is memory, as Linux numbers it. */
const TMPFS = 0x0102_1994;
const ROOM_BYTES = 4 * 2 ** 30;

/** Where tests make their files that compare bytes with QEMU's: it waits for the disk at each flush. */
function oracleEnvironment(): Record<string, string> {
  if (process.env['TMPDIR'] !== undefined || !existsSync(MEMORY)) return {};
  const { type, bavail, bsize } = statfsSync(MEMORY);
  return type === TMPFS && bavail * bsize >= ROOM_BYTES ? { TMPDIR: MEMORY } : {};
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: kinds.map((name) => ({
      extends: true,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        env: name === 'oracle' ? oracleEnvironment() : {},
      },
    })),
  },
});
