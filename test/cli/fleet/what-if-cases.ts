import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  choosePruned,
  freedByDeleting,
  measureUsage,
  memoryDevice,
  openImage,
} from '../../../src/index.js';
import { pruneRules, type PruneRuleFlags } from '../../../src/cli/qsnap/prune-rules.js';
import { localPeriods } from '../../../src/cli/qsnap/local-periods.js';
import { goneSetOf } from '../../../src/cli/fleet/questions/gone-sets.js';
import {
  goneSnapshots,
  pruneAll,
  type PrunedImage,
} from '../../../src/cli/fleet/questions/what-if-prune.js';
import { examined, keepRecord, type Catalogs } from '../../support/catalogs.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyFixture, fixtureNames } from '../../support/fixture.js';
import { randomFrom, roundsOf, seedOf } from '../../support/model-random.js';
import { randomHistory } from '../../support/random-histories.js';

const NOW = new Date('2023-12-20T12:00:00.5Z');

const RULES: readonly PruneRuleFlags[] = [
  { keepLast: 0, name: ['*'] },
  { keepLast: 2 },
  { keepHourly: 3, keepDaily: 2 },
  { keepWeekly: 2, keepMonthly: 1 },
  { olderThan: 30 * 86_400, keep: ['*\\\\*'] },
  { keepLast: 1, name: ['auto-*'] },
  { keepLast: 1, name: ['*[0-4]'] },
  { olderThan: 100 * 365 * 86_400 },
];

interface Expected {
  readonly gone: readonly number[];
  readonly freedBytes: number;
}

/** What the engine says of an image; undefined where an edit would refuse it. */
async function byTheEngine(file: string): Promise<readonly Expected[] | undefined> {
  try {
    const image = await openImage(memoryDevice(new Uint8Array(readFileSync(file))));
    const usage = await measureUsage(image);
    return RULES.map((flags) => {
      const choices = choosePruned(image.snapshots, pruneRules(flags, NOW), localPeriods);
      const gone = choices.filter(({ keptBy }) => keptBy.length === 0).map((one) => one.snapshot);
      const { freedBytes } = freedByDeleting(usage, gone);
      return { gone: gone.map(({ index }) => index + 1), freedBytes };
    });
  } catch {
    return undefined;
  }
}

async function compare(catalogs: Catalogs, files: readonly string[]): Promise<number> {
  const expected = new Map<string, readonly Expected[]>();
  for (const file of files) {
    await keepRecord(catalogs, file, await examined(file));
    const byEngine = await byTheEngine(file);
    if (byEngine !== undefined) expected.set(file, byEngine);
  }
  let compared = 0;
  for (const database of catalogs.all) {
    for (const [rule, flags] of RULES.entries()) {
      const pruned = await pruneAll(database, pruneRules(flags, NOW));
      const found = new Map(pruned.map((image): [string, PrunedImage] => [image.location, image]));
      for (const [file, byRule] of expected) {
        const { gone, freedBytes } = byRule[rule]!;
        const image = found.get(file);
        const what = `${path.basename(file)}, ${JSON.stringify(flags)}`;
        expect(image?.gone ?? [], what).toEqual(gone);
        if (image !== undefined) expect(image.freedBytes, what).toBe(freedBytes);
        compared += gone.length;
      }
    }
  }
  return compared;
}

export function whatIfCases(opened: () => Catalogs): void {
  test('of each fixture it is what prune chooses, and frees', async () => {
    const folder = temporaryDirectory();
    const files = fixtureNames().map((name) => copyFixture(name, folder));
    expect(await compare(opened(), files)).toBeGreaterThan(100);
  });

  test('of images with any history', async () => {
    const seed = seedOf();
    const random = randomFrom(seed);
    const folder = temporaryDirectory();
    const files: string[] = [];
    for (let i = 0; i < roundsOf(25); i++) {
      const file = path.join(folder, `seed-${seed}-${i}.qcow2`);
      writeFileSync(file, await randomHistory(random, 10 + random.below(40)));
      files.push(file);
    }
    expect(await compare(opened(), files)).toBeGreaterThan(500);
  });

  test('the snapshots that go are named', async () => {
    for (const database of opened().all) {
      const pruned = await pruneAll(database, pruneRules({ keepLast: 1 }, NOW));
      const named = await goneSnapshots(database, pruned);
      for (const { id, gone } of pruned) {
        expect(named.get(id)!.map(({ position }) => position)).toEqual(gone);
      }
      const all = [...named.values()].flat();
      expect(all.map(({ name }) => name)).toContain('keep\\\\4');
      for (const { taken_at: at } of all) expect(at).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z$/);
    }
  });

  test('positions become runs', () => {
    expect(goneSetOf([3, 4, 5])).toEqual({
      first: 3,
      last: 5,
      reach: undefined,
      ranges: undefined,
    });
    expect(goneSetOf([1, 2, 5, 7, 8])).toEqual({
      first: 1,
      last: 8,
      reach: [2, 2, 0, 0, 5, 0, 8, 8],
      ranges: '{[1,3),[5,6),[7,9)}',
    });
  });
}
