/** What to do, as each command line says it: the engine has neutral words, and names. */
import { expect, test } from 'vitest';
import { hinted } from '../../src/base/hints.js';
import { withNoRoomHint } from '../../src/cli/qsnap/editing.js';
import { QsnapError } from '../../src/index.js';
import { copyFixture } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { runInMemory } from './qemu-img/streams.js';
import { qsnap } from './qsnap/harness.js';

test('both programs name the command that mends a dirty image', async () => {
  const file = copyFixture('dirty', temporaryDirectory());
  const hint = '`qsnap repair` mends it and takes the mark away';
  expect((await qsnap(['create', file, 'new'])).stderr).toContain(`\nhint: ${hint}\n`);
  expect((await runInMemory(['snapshot', '-c', 'new', file])).stderr).toContain(` (${hint})\n`);
});

test('qsnap-img names the tool that resizes what it does not', async () => {
  const file = copyFixture('data-file', temporaryDirectory());
  const { stderr } = await runInMemory(['resize', file, '+1M']);
  expect(stderr).toContain(' (use `qemu-img resize`)\n');
});

test('where room is missing, too, the command still stands in the hint', () => {
  const details = { ...hinted('finish-refcounts'), imageState: 'new-list' } as const;
  const full = new QsnapError('NO_SPACE', 'it is full', details);
  const told = withNoRoomHint(full, 'make room') as QsnapError;
  expect(told.details.hint).toMatch(/: `qsnap repair IMAGE all perhaps-lost` mends .+: make room$/);
});
