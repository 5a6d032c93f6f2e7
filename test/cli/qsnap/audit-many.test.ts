/** Audits over all cores by the built program say what one thread says, in the same order. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { imageOf, qsnap } from './harness.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));

const NAMES = [
  'five-snapshots',
  'refcount-too-low',
  'no-snapshots',
  'qcow-version-1',
  'backing-chain',
  'feature-incompatible-unknown',
  'compressed-zlib',
];

/** Rules that ask for a time are the same for a day that both have. */
test.each(['text', 'json', 'sarif', 'markdown'])('%s', async (format) => {
  const paths = [...NAMES.map(imageOf), '/nowhere/to/be/found.qcow2'];
  const argv = ['audit', '--profile', 'golden-image', '--format', format, ...paths];
  const alone = await qsnap(argv);
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...argv], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  expect({ code: status, stdout, stderr }).toEqual(alone);
  expect(stdout).not.toBe('');
});
