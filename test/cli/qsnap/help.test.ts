/** Help and version, word for word: what people learn the program from. */
import { expect, test } from 'vitest';
import manifest from '../../../package.json' with { type: 'json' };
import { qsnap } from './harness.js';

const READING = ['info', 'list', 'show', 'check'];
const COMMANDS = [
  ...READING,
  'compare',
  'diff',
  'export',
  'create',
  'apply',
  'delete',
  'rename',
  'repair',
  'undo',
  'compact',
  'rescue',
  'catalog',
  'worker',
];

test('--help', async () => {
  const { code, stdout, stderr } = await qsnap(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatchSnapshot();
});

test.each(COMMANDS)('%s --help', async (command) => {
  const { code, stdout, stderr } = await qsnap([command, '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatchSnapshot();
  expect(stdout).toMatch(/\nExamples:\n {2}qsnap /);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('without a command the help goes to stderr, and that is a failure', async () => {
  const { stdout: help } = await qsnap(['--help']);
  expect(await qsnap([])).toEqual({ code: 1, stdout: '', stderr: help });
});

test('--version', async () => {
  const version = `${manifest.version}\n`;
  expect(await qsnap(['--version'])).toEqual({ code: 0, stdout: version, stderr: '' });
});
