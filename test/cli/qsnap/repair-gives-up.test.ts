/** What a repair gives up is said in its plan, in its report and in JSON; so is what it can't mend. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { FindingCode } from '../../../src/read/check/catalog.js';
import { damaged, EXAMPLES } from '../../unit/read/check/examples.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

function exampleOf(code: FindingCode): string {
  const image = imageOf(EXAMPLES[code].fixture);
  writeFileSync(image, damaged(EXAMPLES[code]).bytes);
  return image;
}

/** The plan, the report and the JSON of the same repair of three copies. */
async function threeWays(imageFor: () => string, words: readonly string[]) {
  const { stdout: plan } = await qsnap(['repair', '--plan', imageFor(), ...words]);
  const image = imageFor();
  const { stdout: report } = await qsnap(['repair', image, ...words]);
  const { stdout: json } = await qsnap(['repair', '--json', imageFor(), ...words]);
  await expectSound(image);
  return { plan, report, json: parsed('repair', json) };
}

test('a snapshot that is dropped by name is named', async () => {
  const ways = await threeWays(() => imageOf('five-snapshots'), ['--drop-snapshot', 'id:2']);
  expect(ways.plan).toMatch(/^Drops the snapshot 2 ".+"\.$/m);
  expect(ways.report).toMatch(/^Dropped the snapshot 2 ".+"\.$/m);
  expect(ways.json).toMatchObject({
    'dropped-snapshots': [{ id: '2' }],
    'dropped-unread-snapshots': 0,
  });
});

test('snapshots that can not be read are counted', async () => {
  const example = (): string => exampleOf('SNAPSHOT_EXTRA_TOO_LONG');
  const ways = await threeWays(example, ['all', '--drop-unread-snapshots']);
  const [, count] = /^Drops (\d+) snapshots? that can not be read\.$/m.exec(ways.plan) ?? [];
  expect(Number(count)).toBeGreaterThan(0);
  expect(ways.report).toMatch(
    new RegExp(`^Dropped ${count} snapshots? that can not be read\\.$`, 'm'),
  );
  expect(ways.json).toMatchObject({
    'dropped-snapshots': [],
    'dropped-unread-snapshots': Number(count),
  });
});

test.each([
  ['L2_ENTRY_PAST_END', '1 cluster'],
  ['L1_ENTRY_PAST_END', 'up to [0-9]+ clusters'],
] as const)('%s: the entries that are given up are counted', async (code, data) => {
  const ways = await threeWays(() => exampleOf(code), ['all', 'unreadable', 'perhaps-lost']);
  const line = `1 table entry that leads nowhere: ${data} of guest data\\.`;
  expect(ways.plan).toMatch(new RegExp(`^Gives up ${line}$`, 'm'));
  expect(ways.report).toMatch(new RegExp(`^Gave up ${line}$`, 'm'));
  expect(ways.json).toMatchObject({ 'given-up-entries': 1 });
});

test('where no refcount is wrong none is told of', async () => {
  const ways = await threeWays(() => exampleOf('L2_COPIED_MISSING'), []);
  expect(ways.report).toMatch(/^Repaired .+\.qcow2\.\nA check found: 1 corruption\.\n/);
  expect(ways.report).not.toContain('refcounts');
  expect(ways.json).toMatchObject({ 'given-up-entries': 0 });
});

test('where a mark alone goes nothing is written but the header', async () => {
  const ways = await threeWays(() => exampleOf('MARKED_CORRUPT'), []);
  expect(ways.plan).not.toContain('write 0 B');
  expect(ways.plan).toContain('\n1 switch to the new state with one write; flush\n');
});

test('a class that has done what it can is not advised again', async () => {
  const { fixture } = EXAMPLES.L1_ENTRY_PAST_END;
  const image = imageOf(fixture);
  // Stray bits of an entry that leads nowhere stay where the entry is not given up.
  const { bytes, at } = damaged(EXAMPLES.L1_ENTRY_PAST_END);
  bytes[at + 7]! |= 1;
  writeFileSync(image, bytes);
  const { stdout: advised } = await qsnap(['repair', '--plan', image, 'leaks']);
  expect(advised).toMatch(
    /^Still wrong: .*L1_ENTRY_RESERVED_BITS.*; `qsnap repair .* all` mends it\.$/m,
  );
  const again = await qsnap(['repair', image, 'all']);
  expect(again.stdout).not.toMatch(/ all` mends it/);
  expect(again.stdout).toMatch(
    /^Still wrong: .*L1_ENTRY_RESERVED_BITS.*; `qsnap check .*` says what can be done\.$/m,
  );
  expect(again.code).toBe(2);
});
