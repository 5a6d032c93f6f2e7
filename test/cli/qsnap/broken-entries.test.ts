/** Images of which a table entry, a refcount or a field is wrong: what is found, refused, mended and left. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  ALL_SHAPES,
  breakImage,
  entryBytes,
  l2EntryAt,
  newImage,
  onShapes,
  SHAPES,
  type Broken,
  type Shape,
} from '../../support/broken-images.js';
import { temporaryDirectory } from '../../support/directories.js';
import {
  blockAt,
  blockEntries,
  putRefcountAt,
  putU32,
  putU64,
  snapshotsOf,
  u64,
} from '../../support/image-builder-layout.js';
import { withLoopDevice } from '../../support/loop-device.js';
import { makeImage, use } from '../../support/made-images.js';
import { contentHash, describeWithQemu, expectClean, qemuIo } from '../../support/qemu.js';
import { checked, expectRefused, repaired } from './broken-image-judge.js';
import { expectSound, qsnap } from './harness.js';
import { oneIn } from '../../support/left-out.js';

const SMALL = ALL_SHAPES.filter((shape) => shape !== 'clusters of 2 MiB');
const onEach = (cases: readonly string[]): [string, Shape][] => onShapes(cases, SMALL);

function setRefcount({ bytes, layout }: Broken, hostOffset: number, value: bigint): void {
  const cluster = hostOffset / layout.clusterBytes;
  const index = cluster % blockEntries(layout);
  putRefcountAt(bytes, blockAt(bytes, layout, cluster), layout.refcountBits, index, value);
}

/** Changes bytes in place. */
function change(image: string, how: (broken: Broken) => void): void {
  breakImage(image, (broken) => {
    how(broken);
    return undefined;
  });
}

describeWithQemu('one host cluster at two places of the active disk', () => {
  const OTHERS = { 'of one L2 table': 64 * 1024, 'far apart': 34 * 2 ** 20 } as const;

  test.each(onEach(Object.keys(OTHERS)))('%s (%s)', async (where, shape) => {
    const image = await newImage('64M', shape);
    await use(image, 'write -P 1 0 512k', 'write -P 2 34M 512k');
    change(image, (broken) => {
      const other = l2EntryAt(broken, OTHERS[where as keyof typeof OTHERS]);
      const lost = broken.offsetAt(other);
      putU64(broken.bytes, other, u64(broken.bytes, l2EntryAt(broken, 0)));
      setRefcount(broken, lost, 0n);
    });
    const before = await checked(image);
    expect(before.code).toBe(2);
    expect(before.codes).toContain('CLUSTER_AT_TWO_PLACES');
    await expectRefused(image, ['create', image, 'new']);
    const { stdout } = await qsnap(['repair', image]);
    expect(stdout).toContain('\nStill wrong: CLUSTER_AT_TWO_PLACES; ');
    expect((await checked(image)).codes).toEqual(['CLUSTER_AT_TWO_PLACES']);
    await expectClean(image);
  });

  test.each(oneIn(4, SMALL, 0))('a whole L2 table (%s)', async (shape) => {
    const image = await newImage('8G', shape);
    await use(image, 'write -P 1 0 64k', 'write -P 2 6G 64k');
    change(image, ({ bytes, layout }) => {
      const perTable = (layout.clusterBytes / entryBytes(layout)) * layout.clusterBytes;
      const other = layout.l1At + 8 * Math.floor((6 * 2 ** 30) / perTable);
      putU64(bytes, other, u64(bytes, layout.l1At));
    });
    const before = await checked(image);
    expect(before.code).toBe(2);
    expect(before.codes).toContain('CLUSTER_AT_TWO_PLACES');
    const mended = await repaired(image);
    expect(mended.then.codes).toContain('CLUSTER_AT_TWO_PLACES');
  });

  test.each(oneIn(4, SMALL, 1))(
    'a disk and its snapshot share clusters, and no finding says so (%s)',
    async (shape) => {
      const image = await newImage('64M', shape);
      await use(image, 'write -P 1 0 512k', 'snapshot s');
      expect(await checked(image)).toEqual({ code: 0, codes: [] });
    },
  );
});

describeWithQemu('refcounts that are not where the header says', () => {
  const WRONG: Readonly<Record<string, (broken: Broken) => void>> = {
    'an offset of 0': ({ bytes }) => {
      putU64(bytes, 48, 0n);
    },
    'no clusters': ({ bytes }) => {
      putU32(bytes, 56, 0);
    },
    'neither offset nor clusters': ({ bytes }) => {
      putU64(bytes, 48, 0n);
      putU32(bytes, 56, 0);
    },
    'bit 40 of the offset': ({ bytes }) => {
      putU64(bytes, 48, u64(bytes, 48) ^ (1n << 40n));
    },
    'bit 20 of the offset': ({ bytes }) => {
      putU64(bytes, 48, u64(bytes, 48) ^ (1n << 20n));
    },
    'bit 10 of the offset': ({ bytes }) => {
      putU64(bytes, 48, u64(bytes, 48) ^ (1n << 10n));
    },
    'a table of zeros': ({ bytes, layout }) => {
      bytes.fill(0, layout.refcountTableAt, layout.refcountTableAt + layout.clusterBytes);
    },
    'a block of zeros': ({ bytes, layout, offsetAt }) => {
      const at = offsetAt(layout.refcountTableAt);
      bytes.fill(0, at, at + layout.clusterBytes);
    },
  };

  test.each(oneIn(3, onEach(Object.keys(WRONG))))('%s (%s)', async (what, shape) => {
    const image = await newImage('64M', shape);
    await use(image, 'write -P 5 0 3M', 'snapshot s1', 'write -P 6 0 1M');
    const [active, snapshot] = [await contentHash(image), await contentHash(image, '1')];
    change(image, WRONG[what]!);
    expect([1, 2]).toContain((await checked(image)).code);
    await expectRefused(image, ['create', image, 'new']);
    expect((await qsnap(['list', image])).stdout).toContain('s1');
    expect((await repaired(image)).code).toBe(0);
    expect(await contentHash(image)).toBe(active);
    expect(await contentHash(image, '1')).toBe(snapshot);
  });

  const STORED = [
    [63, /table entry 0 \(0x8000000000020000\) has bits above bit 55 set/],
    [56, /table entry 0 \(0x100000000020000\) has bits above bit 55 set/],
    [8, /table entry 0 \(0x20100\) has reserved bits set/],
    [1, /table entry 0 \(0x20002\) has reserved bits set/],
    [12, /table entry 0 \(0x21000\) /],
    [40, /table entry 0 \(0x10000020000\) /],
  ] as const;
  test.each(oneIn(3, STORED))(
    'an entry with bit %i is shown as it is stored',
    async (bit, message) => {
      const image = await newImage('64M', 'version 3');
      await use(image, 'write -P 5 0 3M');
      change(image, ({ bytes, layout: { refcountTableAt } }) => {
        putU64(bytes, refcountTableAt, u64(bytes, refcountTableAt) ^ (1n << BigInt(bit)));
      });
      expect((await expectRefused(image, ['create', image, 's1'])).stderr).toMatch(message);
      expect((await repaired(image)).code).toBe(0);
    },
  );
});

describeWithQemu('leaks', () => {
  test.each(oneIn(4, SMALL, 2))(
    'guest data that nothing refers to is not called a table (%s)',
    async (shape) => {
      const image = await newImage('64M', shape);
      await use(image, 'write -P 1 0 1M', 'write -P 2 8M 1M');
      change(image, (broken) => {
        const from = l2EntryAt(broken, 0);
        broken.bytes.fill(0, from, from + 5 * entryBytes(broken.layout));
      });
      expect(await checked(image)).toEqual({ code: 3, codes: ['CLUSTER_LEAKED'] });
      const { stdout } = await qsnap(['repair', '--plan', image]);
      expect(stdout).toMatch(
        /\nFrees \S+ \S+ \(5 clusters that nothing refers to, whatever was in/,
      );
      expect((await qsnap(['repair', image])).code).toBe(0);
      await expectSound(image);
    },
  );

  test('all of 1,500 are in --json, and as many as are asked for in the text', async () => {
    const image = await newImage('1G', 'version 3');
    await use(image, 'write -P 1 0 100M');
    change(image, (broken) => {
      const from = l2EntryAt(broken, 0);
      broken.bytes.fill(0, from, from + 8 * 1500);
    });
    expect((await qsnap(['check', image])).stdout).toContain('and 1460 more: `--json` has them');
    const { images } = JSON.parse((await qsnap(['--json', 'check', image])).stdout) as {
      images: [{ findings: unknown[] }];
    };
    expect(images[0]).toMatchObject({ 'findings-left-out': 0 });
    expect(images[0].findings).toHaveLength(1500);
    await qsnap(['repair', image]);
    await expectSound(image);
  });
});

describeWithQemu('snapshots of one id and one name', () => {
  test.each(oneIn(4, SMALL, 3))('are told apart by their position (%s)', async (shape) => {
    const image = await newImage('64M', shape);
    for (const n of [1, 2, 3]) await use(image, `write -P ${n} 0 64k`, 'snapshot state');
    change(image, ({ bytes }) => {
      for (const { at, extraBytes } of snapshotsOf(bytes).snapshots) {
        bytes[at + 40 + extraBytes] = '1'.charCodeAt(0);
      }
    });
    const unsure = await qsnap(['show', image, 'state']);
    expect([unsure.code, unsure.stderr.match(/'#\d'/g)]).toEqual([1, ["'#0'", "'#1'", "'#2'"]]);
    const out = path.join(temporaryDirectory(), 'out.raw');
    expect((await qsnap(['show', image, '#1'])).code).toBe(0);
    expect((await qsnap(['export', image, '#1', '-o', out])).code).toBe(0);
    expect(readFileSync(out)[0]).toBe(2);
    expect((await qsnap(['delete', image, '#1'])).code).toBe(0);
    expect((await qsnap(['rename', image, '#0', 'first'])).code).toBe(0);
    expect((await qsnap(['export', '--force', image, '#1', '-o', out])).code).toBe(0);
    expect(readFileSync(out)[0]).toBe(3);
    await expectSound(image);
  });
});

describeWithQemu('zero flags in an image whose version was set to 2', () => {
  const OPTIONS = ['cluster_size=64k', 'cluster_size=4k', 'cluster_size=2M'];
  test.each(oneIn(3, OPTIONS, 1))('%s', async (options) => {
    const image = await newImage('64M', { options });
    await use(image, 'write -P 4 0 1M', 'snapshot s', 'write -z 0 128k');
    await use(image, 'write -P 3 4M 4M', 'write -z 4M 4M');
    change(image, ({ bytes }) => {
      bytes[7] = 2;
    });
    const before = await checked(image);
    expect(before.codes).toContain('ZERO_FLAG_MEANINGLESS');
    // An edit carries the flags on.
    expect((await qsnap(['create', image, 'new'])).code).toBe(0);
    const [entry] = entriesAt(image, 4 * 2 ** 20);
    const { stdout } = await qsnap(['repair', image]);
    expect(stdout).toContain('\nStill wrong: ZERO_FLAG_MEANINGLESS; ');
    expect(entriesAt(image, 4 * 2 ** 20)).toEqual([entry! | 1n]);
    expect((await checked(image)).codes).toContain('ZERO_FLAG_MEANINGLESS');
    await expectClean(image);
  });
});

function entriesAt(image: string, guestOffset: number): readonly bigint[] {
  const found: bigint[] = [];
  change(image, (broken) => found.push(u64(broken.bytes, l2EntryAt(broken, guestOffset))));
  return found;
}

describeWithQemu('an image that fills a block device', () => {
  test.each(oneIn(4, SMALL, 4))('a plan foretells what is done (%s)', async (shape) => {
    const disk = path.join(temporaryDirectory(), 'disk');
    writeFileSync(disk, new Uint8Array(4 * 2 ** 20));
    await withLoopDevice(disk, [], async (device) => {
      await makeImage(device, '64M', SHAPES[shape]);
      // The last ones find no room.
      const writes = Array.from({ length: 64 }, (_, i) => `write -P 1 ${i * 64}k 64k`);
      await qemuIo(device, writes, { okCodes: [1] });
      for (const argv of [
        ['create', device, 'n'],
        ['repair', device, 'leaks'],
        ['delete', device, 'n'],
      ]) {
        const foretold = await qsnap([...argv, argv[0] === 'repair' ? '--plan' : '--dry-run']);
        const done = await qsnap(argv);
        expect([argv[0], foretold.code]).toEqual([argv[0], done.code]);
        expect(foretold.stdout).not.toContain('The file grows');
        if (done.code !== 0) expect(foretold.stderr).toContain(done.stderr.split('\n')[0]);
      }
      expect(await checked(device)).toEqual({ code: 0, codes: [] });
      await expectClean(device);
    });
    expect(statSync(disk).size).toBe(4 * 2 ** 20);
  });
});
