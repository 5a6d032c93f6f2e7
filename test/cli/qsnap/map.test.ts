/** `map`: for people and for programs, alone and through the chain. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { copyCompanions, expectedJson, fixtureNames } from '../../support/fixture.js';
import { imageOf, parsed, qsnap, shown } from './harness.js';

interface Extent {
  readonly start: number;
  readonly length: number;
  readonly kind: string;
}
interface Mapped {
  readonly map: readonly Extent[];
  readonly 'virtual-size': number;
}

type Entry = Record<string, unknown> & { length: number; offset?: number };

/** Without the keys that only qsnap has, and with runs that QEMU takes together as one. */
function asQemu(extents: readonly Extent[]): readonly Entry[] {
  const joined: Entry[] = [];
  for (const extent of extents as readonly (Entry & Extent)[]) {
    const entry: Entry = { ...extent };
    if (extent['encrypted'] === true) delete entry.offset;
    delete entry['encrypted'];
    delete entry['kind'];
    const last = joined.at(-1);
    if (last !== undefined && goesOn(last, entry)) last.length += entry.length;
    else joined.push(entry);
  }
  return joined;
}

function goesOn(before: Entry, after: Entry): boolean {
  const isSame = ['depth', 'present', 'zero', 'data'].every((key) => before[key] === after[key]);
  if (before.offset === undefined) return isSame && after.offset === undefined;
  return isSame && before.offset + before.length === after.offset;
}

test.each(fixtureNames())(
  '%s: what qemu-img map says, in the documented shape',
  async (fixture) => {
    const image = imageOf(fixture);
    copyCompanions(fixture, path.dirname(image));
    const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
    const { code, stdout } = await qsnap(['map', '--json', '--backing', image]);
    const document = parsed('map', stdout) as Partial<Mapped>;
    const expected = expectedJson(fixture, 'map.json') as unknown[] | null;
    // Holes are looked for only where QEMU's answer is asked for; an entry past the end is an error.
    const differs = ['preallocated-metadata', 'l2-past-end', 'qcow-version-1'].includes(fixture);
    if (expected !== null && !differs) {
      expect(code).toBe(0);
      expect(asQemu(document.map!)).toEqual(document['virtual-size'] === 0 ? [] : expected);
    }
    expect(readFileSync(image).equals(before.bytes)).toBe(true);
    expect(statSync(image).mtimeMs).toBe(before.mtime);
  },
);

test('without --backing what falls through is shown as that', async () => {
  const image = imageOf('backing');
  const { code, stdout, stderr } = await qsnap(['map', image, 'first']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(shown(stdout, image)).toMatchInlineSnapshot(`
    "START           LENGTH          KIND          HOST OFFSET     FILE
    0x0             0x10000         backing       -               base.raw (not opened)
    0x10000         0x10000         data          0x50000         backing.qcow2
    0x20000         0xe0000         backing       -               base.raw (not opened)
    \`--backing\` opens the backing file and maps what lies in it
    "
  `);
  expect((await qsnap(['-q', 'map', image])).stdout).not.toContain('--backing');
});

test('a wrong entry is unreadable, and the map goes on behind it', async () => {
  const image = imageOf('l2-unaligned');
  const { code, stdout, stderr } = await qsnap(['map', '--json', image]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^warning: .*: 4096 bytes of the disk can't be read\n$/);
  const { map } = parsed('map', stdout) as Mapped & { map: { kind: string; reason?: string }[] };
  const at = map.findIndex(({ kind }) => kind === 'unreadable');
  expect(map[at]!.reason).toBe('the L2 entry does not point at a cluster boundary');
  expect(at).toBeGreaterThan(0);
  expect(at).toBeLessThan(map.length - 1);
  expect((await qsnap(['map', image])).stdout).toMatch(/unreadable +- +\(the L2 entry does not/);
});

test('a snapshot is mapped with its own size', async () => {
  const image = imageOf('resized-smaller');
  const sizes = await Promise.all(
    [[], ['id:1']].map(async (selector) => {
      const { stdout } = await qsnap(['map', '--json', image, ...selector]);
      return (parsed('map', stdout) as Mapped)['virtual-size'];
    }),
  );
  expect(sizes[1]).toBeGreaterThan(sizes[0]!);
});

test('an image without the snapshot, and one that is none', async () => {
  const image = imageOf('version-3');
  const { code, stdout } = await qsnap(['map', '--json', image, 'no-such']);
  expect(code).toBe(1);
  expect(parsed('map', stdout)).toMatchObject({ error: { code: 'SNAPSHOT_NOT_FOUND' } });
});
