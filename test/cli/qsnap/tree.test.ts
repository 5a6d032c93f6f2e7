/** How `tree` draws: what a reader makes of the lines is what was meant, and they stay narrow. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Ancestry, Descent, Snapshot } from '../../../src/index.js';
import { treeSvg } from '../../../src/cli/qsnap/present/tree-pictures.js';
import { treeRows } from '../../../src/cli/qsnap/present/tree-rows.js';
import { treeLines } from '../../../src/cli/qsnap/present/tree-text.js';
import type { Style } from '../../../src/cli/style.js';
import { randomFrom, roundsOf, seedOf } from '../../support/model-random.js';
import { plainFixtures } from '../../support/plain-owners.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

/** By snapshot, then of the active disk: the index of its parent. */
type Parents = readonly (number | undefined)[];

const text = new TextEncoder();
const same = (one: string): string => one;
const plain: Style = { marker: same, error: same, warning: same };

function snapshotOf(index: number, name: string): Snapshot {
  const [idBytes, nameBytes] = [String(index), `${name}${index}`].map((one) => text.encode(one));
  return { index, idBytes, nameBytes, date: { seconds: 0, nanoseconds: 0 } } as Snapshot;
}

function ancestryOf(parents: Parents, name = 's'): Ancestry {
  const snapshots = parents.slice(0, -1).map((_, index) => snapshotOf(index, name));
  const descents = parents.map((parent, i): Descent => {
    const certainty = parent === undefined ? (i === 0 ? 'first' : 'untold') : 'told';
    const none = { alternatives: [], moreAlternatives: 0, newBytes: 0, goneBytes: 0 };
    const grewFrom = parent === undefined ? undefined : snapshots[parent];
    return { snapshot: snapshots[i], parent: grewFrom, certainty, ...none };
  });
  return { active: descents.at(-1)!, snapshots: descents.slice(0, -1), changedBytes: 0 };
}

function drawn(parents: Parents): string[] {
  const ancestry = ancestryOf(parents);
  const lines = treeLines(ancestry, treeRows(ancestry), plain);
  return lines.slice(1, parents.length + 1);
}

const ROW = /^([✓ ]) {2}((?:│ )*(?:├─)?)([○●◆]) (\d+ s\d+|active disk) /;

/**
 * Reads a drawing by its legend: a disk grew from the one above it in its column, behind a turn from the one where the
 * line leaves, and ◆ from none.
 */
function readBack(lines: readonly string[]): Parents {
  const lastIn: (number | undefined)[] = [];
  const parents: (number | undefined)[] = [];
  for (const line of lines) {
    const [, , lanes, node, name] = ROW.exec(line)!;
    const column = lanes!.length / 2;
    const index = name === 'active disk' ? lines.length - 1 : Number.parseInt(name!, 10);
    expect(node === '●').toBe(index === lines.length - 1 && node !== '◆');
    parents[index] = node === '◆' ? undefined : lastIn[lanes!.endsWith('─') ? column - 1 : column];
    if (node !== '◆') expect(parents[index]).toBeDefined();
    // Columns to the right have ended.
    lastIn.length = column;
    lastIn[column] = index;
  }
  return parents;
}

const columnsOf = (lines: readonly string[]): number =>
  Math.max(...lines.map((line) => ROW.exec(line)![2]!.length / 2)) + 1;

/** Each of `count` disks grew from the one before. */
const chain = (count: number): Parents =>
  Array.from({ length: count }, (_, i) => (i === 0 ? undefined : i - 1));

/** Images with table entries that can't be right. */
const DAMAGED = new Set(['l2-past-end', 'l2-unaligned']);
const measurable = plainFixtures().filter((name) => !DAMAGED.has(name));

describe('the drawing', () => {
  // Each child was indented: 300 snapshots in a row were 900 columns wide.
  test('a chain goes straight down', () => {
    const lines = drawn(chain(301));
    expect(columnsOf(lines)).toBe(1);
    expect(lines[299]).toMatch(/^✓ {2}○ 299 s299 /);
    expect(lines[300]).toMatch(/^ {3}● active disk /);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(80);
  });

  test('only branches are indented, and the line to the active disk is the straight one', () => {
    // 0 has the children 1, 4 and 5; 1 has 2 and 3; 6 shares nothing.
    const lines = drawn([undefined, 0, 1, 1, 0, 0, undefined, 4]);
    const shapes = lines.map((line) => ROW.exec(line)!.slice(1, 5).join(''));
    expect(shapes).toEqual([
      ' ◆0 s0',
      ' ├─○1 s1',
      ' │ ├─○2 s2',
      ' │ ○3 s3',
      ' ├─○5 s5',
      '✓○4 s4',
      ' ●active disk',
      ' ◆6 s6',
    ]);
  });

  const seed = seedOf();
  const rounds = roundsOf(200);
  test(`reads back as it was meant, and is narrow: seed ${seed}`, () => {
    console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
    for (let round = 0; round < rounds; round++) {
      const random = randomFrom(seed + round);
      const count = 1 + random.below(random.pick([4, 20, 200]));
      const [roots, straight] = [random.pick([0, 0.1, 0.5]), random.pick([0, 0.5, 0.95])];
      const parents = Array.from({ length: count }, (_, i) => {
        if (i === 0 || random.chance(roots)) return undefined;
        return random.chance(straight) ? i - 1 : random.below(i);
      });
      const lines = drawn(parents);
      expect(readBack(lines), `seed ${seed + round}`).toEqual(parents);
      // A branch has at most half of the disks below its fork, but for the one that leads to the active disk.
      expect(columnsOf(lines)).toBeLessThanOrEqual(2 + Math.log2(count));
      // Nothing stands below the active disk in its tree, and it stands in the first column.
      const active = lines.findIndex((line) => line.includes('active disk'));
      expect(lines[active]).toMatch(/^ {3}[●◆] /);
      expect(lines[active + 1] ?? '   ◆ ').toMatch(/^[✓ ] {2}◆ /);
      expect(lines.filter((line) => line.startsWith('✓'))).toHaveLength(
        parents.at(-1) === undefined ? 0 : 1,
      );
    }
  });

  test('a picture has a column for each branch, however long the chain and the names', () => {
    const placesIn = (parents: Parents, name = 's'): { columns: number; width: number } => {
      const ancestry = ancestryOf(parents, name);
      const svg = treeSvg('disk.qcow2', treeRows(ancestry));
      const xs = [...svg.matchAll(/<circle cx="(\d+)"/g)].map(([, x]) => x);
      return { columns: new Set(xs).size, width: Number(/^<svg [^>]*width="(\d+)"/.exec(svg)![1]) };
    };
    const { width, columns } = placesIn(chain(300));
    expect({ columns, isNarrow: width < 300 }).toEqual({ columns: 1, isNarrow: true });
    expect(placesIn([undefined, 0, 0, 1, 0]).columns).toBe(2);
    expect(placesIn(chain(3), 'x'.repeat(255)).width).toBeLessThan(700);
  });

  test.each([
    ['in a chain', (i: number) => i - 1],
    ['of one parent', () => 0],
    ['of no parent', () => undefined],
  ])('20,000 snapshots %s', (_, parentOf) => {
    const parents = Array.from({ length: 20_001 }, (__, i) => (i === 0 ? undefined : parentOf(i)));
    const ancestry = ancestryOf(parents);
    const rows = treeRows(ancestry);
    expect(rows).toHaveLength(20_001);
    expect(rows.reduce((most, { column }) => Math.max(most, column), 0)).toBeLessThan(2);
    // A line of the picture for each, however many there are.
    expect(treeSvg('disk.qcow2', rows).length).toBeLessThan(20_001 * 500);
  });
});

describe('the command', () => {
  test.each(measurable)('%s: has the shape of its schema', async (name) => {
    const { code, stdout } = await qsnap(['tree', '--json', imageOf(name)]);
    expect(code).toBe(0);
    const { images } = parsed('tree', stdout) as {
      images: { snapshots: { index: number; parent: number | null; certainty: string }[] }[];
    };
    const [first, ...others] = images[0]!.snapshots;
    expect(first).toMatchObject({ index: 0, parent: null, certainty: 'first' });
    for (const { index, parent } of others) expect(parent ?? -1).toBeLessThan(index);
  });

  test('in text, for Graphviz, and as a picture', async () => {
    const image = imageOf('applied-and-deleted');
    const picture = join(dirname(image), 'tree.svg');
    const { stdout } = await qsnap(['tree', '--svg', picture, image]);
    expect(stdout).toContain('active disk');
    expect(stdout).toContain('✓');
    expect(readFileSync(picture, 'utf8')).toMatch(/^<svg [^]*<\/svg>\n$/);
    const both = await qsnap(['tree', '--dot', '--json', image]);
    expect(both).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('"USAGE"') as string,
      stderr: expect.stringContaining("'--dot' cannot be used with option '--json'") as string,
    });
    const dot = await qsnap(['tree', '--dot', image]);
    expect(dot.stdout).toMatch(/^digraph "[^]* -> active [^]*\}\n$/);
  });

  test('zero clusters decide, where shared clusters do not', async () => {
    const image = imageOf('zeros');
    const { stdout } = await qsnap(['tree', image]);
    expect(stdout).toMatch(/✓ the active disk grew from .*; .* changed since\./);
    const { images } = parsed('tree', (await qsnap(['tree', '--json', image])).stdout) as {
      images: { active: { certainty: string } }[];
    };
    expect(images[0]!.active.certainty).toBe('told');
  });

  test('snapshots of one state: the others are named, too', async () => {
    const image = imageOf('five-snapshots');
    expect((await qsnap(['create', image, 'twin'])).code).toBe(0);
    expect((await qsnap(['create', image, 'triplet'])).code).toBe(0);
    const { stdout } = await qsnap(['tree', image]);
    expect(stdout).toContain('? or from 6');
    await expectSound(image);
  });
});
