/**
 * Images as copies, disks and other programs leave them: what a check says, that edits refuse them, and that a
 * repair frees nothing of what a guest wrote. Each kind of damage is tried on several kinds of image.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  ALL_SHAPES,
  breakImage,
  l2EntryAt,
  l2TableAt,
  newImage,
  patterns,
  onShapes,
  SHAPES,
  type Broken,
  type Shape,
} from '../../support/broken-images.js';
import { memoryDirectory } from '../../support/directories.js';
import { putU32, putU64, snapshotsOf, u64 } from '../../support/image-builder-layout.js';
import { use } from '../../support/made-images.js';
import { describeWithQemu, qemuImg } from '../../support/qemu.js';
import { checked, expectNoEdits, expectRefused, repaired } from './broken-image-judge.js';
import { qsnap } from './harness.js';
import { oneIn } from '../../support/left-out.js';

/** Every case on every kind of image; clusters of 2 MiB are left to where a case asks for them. */
const SMALL = ALL_SHAPES.filter((shape) => shape !== 'clusters of 2 MiB');

function onEach<Case extends string>(
  cases: readonly Case[],
  shapes: readonly Shape[] = SMALL,
): [Case, Shape][] {
  return onShapes(cases, shapes);
}

/** Exports the active disk or a snapshot; undefined where that is refused, and then nothing is written. */
async function exported(image: string, ...which: readonly string[]): Promise<Buffer | undefined> {
  const out = `${memoryDirectory()}/out.raw`;
  const { code } = await qsnap(['export', image, ...which, '-o', out]);
  expect(existsSync(out)).toBe(code === 0);
  return code === 0 ? readFileSync(out) : undefined;
}

describeWithQemu('a compressed image that was cut off', () => {
  const CUTS = {
    'before its L1 table': ({ layout }: Broken) => layout.l1At - 100,
    'within its L1 table': ({ layout }: Broken) => layout.l1At + 7,
    'within its L2 table': (image: Broken) => l2TableAt(image, 0) + 3,
  } as const;

  test.each(oneIn(4, onEach(Object.keys(CUTS) as (keyof typeof CUTS)[], ALL_SHAPES)))(
    '%s (%s)',
    async (where, shape) => {
      const raw = await newImage('256M', shape);
      await use(raw, 'write -P 7 0 8M');
      const image = raw.replace('a.qcow2', 'b.qcow2');
      await qemuImg(['convert', '-c', '-O', 'qcow2', '-o', SHAPES[shape], raw, image]);
      breakImage(image, (broken) => broken.bytes.slice(0, CUTS[where](broken)));
      const { code, codes } = await checked(image);
      expect(code).toBe(2);
      expect(codes).toContain('FILE_CUT_OFF');
      await expectRefused(image, ['create', image, 'new']);
      await expectRefused(image, ['create', '--dry-run', image, 'new']);
      expect(await exported(image)).toBeUndefined();
      const { code: end, then } = await repaired(image);
      expect([end === 0, then.codes.includes('FILE_CUT_OFF')]).toEqual([false, true]);
    },
  );
});

describeWithQemu('a copy that lost the end of its snapshot table', () => {
  /** How many of three snapshots are whole, and what is left of a table of `bytes` bytes. */
  const CUTS = {
    'its last byte': [2, (bytes: number) => bytes - 1],
    'its last three bytes': [2, (bytes: number) => bytes - 3],
    'half of it': [1, (bytes: number) => Math.floor(bytes / 2)],
    'all but three bytes': [0, () => 3],
    'all of it': [0, () => 0],
  } as const;

  test.each(oneIn(4, onEach(Object.keys(CUTS) as (keyof typeof CUTS)[])))(
    '%s (%s)',
    async (what, shape) => {
      const image = await newImage('8M', shape);
      for (const n of [1, 2, 3]) await use(image, `write -P ${n} 0 2M`, `snapshot s${n}`);
      const [whole, left] = CUTS[what];
      const active = await exported(image);
      breakImage(image, ({ bytes, layout }) =>
        bytes.slice(0, layout.snapshotTableAt + left(snapshotsOf(bytes).tableBytes)),
      );
      const { code, codes } = await checked(image);
      expect(code).toBe(2);
      expect(codes).toEqual(expect.arrayContaining(['FILE_CUT_OFF', 'SNAPSHOT_LOST']));
      expect(codes).not.toContain('CLUSTER_LEAKED');
      await expectRefused(image, ['create', image, 'new']);
      const listed = await qsnap(['list', image]);
      expect([listed.code, listed.stdout.includes('1970')]).toEqual([1, false]);
      expect((await exported(image))?.equals(active!)).toBe(true);
      for (let i = 0; i < 3; i++) {
        const content = await exported(image, `#${i}`);
        expect(content?.[0]).toBe(i < whole ? i + 1 : undefined);
      }
      const mended = await repaired(image);
      expect(mended.code).toBe(1);
      expect(mended.stderr).toContain(`only ${whole} of 3 snapshots can be read`);
      // The answer of a repair, for one who gives the lost snapshots up.
      const before = await checked(image);
      expect(before.codes).toContain('SNAPSHOT_LOST');
      const dropped = await qsnap(['repair', '--drop-unread-snapshots', image]);
      expect(dropped.code).not.toBe(1);
      const after = await checked(image);
      expect([after.code, after.codes.includes('SNAPSHOT_LOST')]).toEqual([dropped.code, false]);
      expect((await exported(image))?.equals(active!)).toBe(true);
      for (let i = 0; i < whole; i++) expect((await exported(image, `#${i}`))?.[0]).toBe(i + 1);
    },
  );
});

describeWithQemu('a file whose last cluster is cut', () => {
  test.each(oneIn(4, onEach(['its middle', 'its start', 'a sector'], ALL_SHAPES)))(
    'an L2 table, at %s (%s)',
    async (where, shape) => {
      const image = await newImage('512M', shape);
      await use(image, 'write -P 1 0 2M', 'write -P 4 400M 4M', 'snapshot s', 'write -z 8M 2M');
      await qemuImg(['snapshot', '-d', 's', image]);
      breakImage(image, (broken) => {
        const tables = Array.from({ length: broken.layout.l1Entries }, (_, i) =>
          broken.offsetAt(broken.layout.l1At + 8 * i),
        );
        const last = Math.max(...tables);
        const { clusterBytes } = broken.layout;
        const kept = { 'its middle': clusterBytes * 0.3, 'its start': 0, 'a sector': 512 }[where]!;
        return broken.bytes.slice(0, last + Math.floor(kept));
      });
      const { code, codes } = await checked(image);
      expect(code).toBe(2);
      expect(codes).toContain('FILE_CUT_OFF');
      expect(codes).not.toContain('CLUSTER_LEAKED');
      await expectRefused(image, ['create', image, 'new']);
      const mended = await repaired(image);
      expect([mended.code, mended.then.code]).toEqual([2, 2]);
      expect(mended.stdout).toMatch(/Still wrong: [^`]*FILE_CUT_OFF/);
      const json = await qsnap(['--json', 'repair', '--plan', image]);
      expect(JSON.parse(json.stdout)).toMatchObject({ 'lowered-clusters': 0 });
    },
  );

  test.each(oneIn(3, SMALL))('guest data (%s)', async (shape) => {
    const image = await newImage('64M', shape);
    await use(image, 'write -P 1 0 2M', 'write -P 2 32M 1M');
    breakImage(image, (broken) => {
      const at = broken.offsetAt(l2EntryAt(broken, 33 * 2 ** 20 - 512));
      return broken.bytes.slice(0, at + 700);
    });
    expect(await checked(image)).toMatchObject({ code: 2 });
    await expectRefused(image, ['create', image, 'new']);
    expect(await exported(image)).toBeUndefined();
    const mended = await repaired(image);
    expect([mended.code, mended.then.codes.includes('FILE_CUT_OFF')]).toEqual([2, true]);
  });
});

describeWithQemu('a pointer that leads nowhere: what it led to stays', () => {
  const flip = (bytes: Uint8Array, at: number, bit: number): void => {
    putU64(bytes, at, u64(bytes, at) ^ (1n << BigInt(bit)));
  };
  const LOSSES: Readonly<Record<string, (image: Broken) => void>> = {
    'the L1 offset, bit 40': ({ bytes }) => {
      flip(bytes, 40, 40);
    },
    'the L1 offset, bit 24': ({ bytes }) => {
      flip(bytes, 40, 24);
    },
    'the L1 offset, bit 20': ({ bytes }) => {
      flip(bytes, 40, 20);
    },
    'the L1 offset is 0': ({ bytes }) => {
      putU64(bytes, 40, 0n);
    },
    "a snapshot's L1 offset, bit 40": ({ bytes, layout }) => {
      flip(bytes, layout.snapshotTableAt, 40);
    },
    "a snapshot's L1 offset is 0": ({ bytes, layout }) => {
      putU64(bytes, layout.snapshotTableAt, 0n);
    },
    "a snapshot's L1 has no entries": ({ bytes, layout }) => {
      putU32(bytes, layout.snapshotTableAt + 8, 0);
    },
    'the place of the snapshot table, bit 40': ({ bytes }) => {
      flip(bytes, 64, 40);
    },
    'the place of the snapshot table is 0': ({ bytes }) => {
      putU64(bytes, 64, 0n);
    },
    'the number of snapshots is 0': ({ bytes }) => {
      putU32(bytes, 60, 0);
    },
    'the number of snapshots is less': ({ bytes }) => {
      putU32(bytes, 60, 1);
    },
    'the number of snapshots is more': ({ bytes }) => {
      putU32(bytes, 60, 3);
    },
    'an L1 entry, bit 40': ({ bytes, layout }) => {
      flip(bytes, layout.l1At, 40);
    },
    'the L1 table is zeros': ({ bytes, layout }) => {
      bytes.fill(0, layout.l1At, layout.l1At + layout.l1Entries * 8);
    },
    'an L2 table is zeros': (broken) => {
      const at = l2TableAt(broken, 0);
      broken.bytes.fill(0, at, at + broken.layout.clusterBytes);
    },
    'an L2 entry, bit 40': (broken) => {
      flip(broken.bytes, l2EntryAt(broken, 0), 40);
    },
  };

  const sound = new Map<Shape, Uint8Array>();
  async function twoSnapshots(shape: Shape): Promise<string> {
    const image = await newImage('64M', shape);
    const bytes = sound.get(shape);
    if (bytes !== undefined) writeFileSync(image, bytes);
    else {
      await use(image, 'write -P 1 0 2M', 'write -P 5 34M 1M', 'snapshot s1');
      await use(image, 'write -P 2 0 1M', 'snapshot s2', 'write -P 3 0 512k');
      sound.set(shape, readFileSync(image));
    }
    return image;
  }

  test.each(oneIn(4, onEach(Object.keys(LOSSES))))('%s (%s)', async (name, shape) => {
    const image = await twoSnapshots(shape);
    breakImage(image, (broken) => {
      LOSSES[name]!(broken);
      return undefined;
    });
    const written = patterns(readFileSync(image)).size;
    expect(written).toBeGreaterThan(0);
    const before = await checked(image);
    expect([1, 2]).toContain(before.code);
    expect(before.codes).not.toContain('CLUSTER_LEAKED');
    if (name === 'the number of snapshots is 0') await expectRefused(image, ['create', image, 'n']);
    else await expectNoEdits(image);
    const mended = await repaired(image);
    expect([1, 2]).toContain(mended.code);
    expect([1, 2]).toContain(mended.then.code);
    // Once more: a repair takes away no reason to doubt.
    expect([1, 2]).toContain((await repaired(image)).code);
    expect(patterns(readFileSync(image)).size).toBe(written);
  });
});
