/**
 * Images that QEMU made, in files that may not become longer: what finds no room says before it writes
 * how much is missing, and what finds some inside is done. Each is judged by QEMU and by a plain reader.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { breakImage, newImage } from '../../support/broken-images.js';
import { sameContents } from '../../support/crash-judge-edits.js';
import { contentsOf, type Contents } from '../../support/crash-judge.js';
import { memoryDirectory } from '../../support/directories.js';
import {
  blockAt,
  blockEntries,
  putRefcountAt,
  refcountOf,
} from '../../support/image-builder-layout.js';
import { randomFrom, roundsOf, seedOf } from '../../support/model-random.js';
import { use } from '../../support/made-images.js';
import { oneIn } from '../../support/left-out.js';
import { describeWithQemu } from '../../support/qemu.js';
import { withSmallFileSystem } from '../../support/small-file-system.js';
import { expectSound } from './harness.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../../dist/cli/qsnap/qsnap.cjs', import.meta.url));
const seed = seedOf();
const isLong = roundsOf(1) > 1;

/** POSIX: a shell's limit of the size of files counts this many bytes. */
const UNIT_BYTES = 512;

/** Runs the built command where no file may become longer than so many bytes. */
function limited(bytes: number, argv: readonly string[]) {
  const units = Math.floor(bytes / UNIT_BYTES);
  const script = `ulimit -f ${units}; trap '' XFSZ; exec "$0" "$@"`;
  const args = ['-c', script, process.execPath, BIN, ...argv];
  const { status, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function unlimited(argv: readonly string[]) {
  const { status, stderr } = spawnSync(process.execPath, [BIN, ...argv], { encoding: 'utf8' });
  return { status, stderr };
}

const FILLER = 'all that is left';

/** Takes all room that is left on a file system. */
function fill(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(path.join(folder, FILLER), Buffer.alloc(bavail * bsize, 1));
  expect(statfsSync(folder).bavail).toBe(0);
}

const BLOCK_BYTES = 4096;

/** A copy with holes wherever a block of the file system has nothing but zeros. */
function copySparse(from: string, to: string): void {
  const bytes = readFileSync(from);
  const file = openSync(to, 'w');
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    if (block.some((byte) => byte !== 0)) writeSync(file, block, 0, block.length, at);
  }
  ftruncateSync(file, bytes.length);
  closeSync(file);
}

interface Kind {
  readonly name: string;
  readonly options: string;
  readonly clusterBytes: number;
  readonly snapshots: number;
}

const ALL_KINDS: readonly Kind[] = [1, 4].flatMap((snapshots) => [
  kindOf('clusters of 4 KiB', 'cluster_size=4k', 4096, snapshots),
  kindOf('clusters of 64 KiB', 'cluster_size=64k', 65536, snapshots),
  kindOf('version 2', 'compat=0.10', 65536, snapshots),
]);
/** A long run takes all, a plain one two by its seed: of one snapshot and of four. */
const KINDS = isLong ? ALL_KINDS : [ALL_KINDS[seed % 3]!, ALL_KINDS[3 + ((seed + 1) % 3)]!];

function kindOf(name: string, options: string, clusterBytes: number, snapshots: number): Kind {
  return { name: `${name}, ${snapshots} snapshots`, options, clusterBytes, snapshots };
}

const masters = new Map<Kind, string>();

/** A guest has written between the snapshots, and after the last one. */
async function makeMaster({ options, snapshots }: Kind): Promise<string> {
  const image = await newImage('32M', { options });
  for (let i = 0; i < snapshots; i++) {
    await use(image, `write -P ${i + 1} ${i * 256}k 2M`, `snapshot s${i + 1}`);
  }
  await use(image, 'write -P 99 1M 1M');
  return image;
}

/** A copy without a free cluster, or after a guest has discarded so many. */
async function imageOf(kind: Kind, free = 0): Promise<string> {
  const image = path.join(memoryDirectory(), 'disk.qcow2');
  copyFileSync(masters.get(kind)!, image);
  if (free > 0) {
    const bytes = free * kind.clusterBytes;
    await use(image, `write -P 7 3M ${bytes}`, `discard 3M ${bytes}`);
  }
  return image;
}

const SHORT = /the edit needs (\d+) bytes more than the medium has free\n/;

/** Refused for lack of room, as foretold, and not a byte was written. Returns how many are missing. */
function expectNoRoom(image: string, argv: readonly string[], foretell: string): number {
  const before = readFileSync(image);
  const { status, stdout, stderr } = limited(before.length, argv);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
  expect(stderr).not.toMatch(/sound/);
  expect(readFileSync(image).equals(before)).toBe(true);
  const foretold = limited(before.length, [...argv, foretell]);
  expect(foretold.status).toBe(1);
  const [, bytes] = SHORT.exec(stderr) ?? [];
  expect(foretold.stderr).toContain(`needs ${bytes} bytes more`);
  expect(readFileSync(image).equals(before)).toBe(true);
  return Number(bytes);
}

const done = { status: 0, stderr: '' };

/** With the room that it asked for it is done; with less it is refused once more. */
async function expectDoneWith(missing: number, image: string, argv: readonly string[]) {
  const { size } = statSync(image);
  expect(limited(size + missing - UNIT_BYTES, argv).status).toBe(1);
  expect(limited(size + missing, argv)).toMatchObject(done);
  await expectSound(image);
}

const contents = (image: string): Contents => contentsOf(readFileSync(image));

const EDITS: Readonly<Record<string, (image: string, kind: Kind) => readonly string[]>> = {
  create: (image) => ['create', image, 'new'],
  apply: (image) => ['apply', '--discard-changes', image, 's1'],
  delete: (image) => ['delete', image, 's1'],
  rename: (image, { snapshots }) => ['rename', image, `s${snapshots}`, 'another name'],
};

describeWithQemu('a file that may not become longer', () => {
  beforeAll(async () => {
    if (!existsSync(BUILT)) throw new Error('run `npm run build` first: these tests run dist/');
    for (const kind of KINDS) masters.set(kind, await makeMaster(kind));
  });

  describe.each(KINDS)('$name', (kind) => {
    test.each(oneIn(2, Object.entries(EDITS), KINDS.indexOf(kind)))(
      '%s says how much is missing',
      async (_, argvOf) => {
        const image = await imageOf(kind);
        const argv = argvOf(image, kind);
        await expectDoneWith(expectNoRoom(image, argv, '--dry-run'), image, argv);
      },
    );

    test(`edits use what is free inside (seed ${seed})`, async () => {
      const random = randomFrom(seed + ALL_KINDS.indexOf(kind));
      for (const name of isLong ? Object.keys(EDITS) : [random.pick(Object.keys(EDITS))]) {
        const free = 1 + random.below(8);
        const image = await imageOf(kind, free);
        const { size } = statSync(image);
        const argv = EDITS[name]!(image, kind);
        const { status, stderr } = limited(size, argv);
        const [, missing] = SHORT.exec(stderr) ?? [];
        expect(status, `${name}, ${free} free`).toBe(missing === undefined ? 0 : 1);
        expect(statSync(image).size).toBe(size);
        if (missing === undefined) await expectSound(image);
        else await expectDoneWith(Number(missing), image, argv);
      }
    });

    test('with enough of it they follow each other', async () => {
      const image = await imageOf(kind, 32);
      const { size } = statSync(image);
      for (const argv of [
        ['create', image, 'new'],
        ['rename', image, 'new', 'newer'],
        ['apply', '--discard-changes', image, 's1'],
        ['delete', image, 's1'],
      ]) {
        expect(limited(size, argv)).toMatchObject(done);
        await expectSound(image);
      }
      expect(statSync(image).size).toBe(size);
    });

    test('delete --in-place takes the last ones and all without a free cluster', async () => {
      const names = Array.from({ length: kind.snapshots }, (_, i) => `s${i + 1}`);
      for (const stay of new Set([kind.snapshots - 1, 1, 0])) {
        if (stay === kind.snapshots) continue;
        const image = await imageOf(kind);
        const before = contents(image);
        const { size } = statSync(image);
        const words = [image, ...names.slice(stay)];
        expectNoRoom(image, ['delete', ...words], '--dry-run');
        expect(limited(size, ['delete', '--in-place', ...words])).toMatchObject(done);
        expect(statSync(image).size).toBe(size);
        const expected = { ...before, snapshots: before.snapshots.slice(0, stay) };
        expect(sameContents(contents(image), expected), `${stay} stay`).toBe(true);
        await expectSound(image);
      }
    });
  });

  const MANY = KINDS.filter(({ snapshots }) => snapshots > 1);
  test.each(MANY)('delete --in-place of others needs one cluster ($name)', async (kind) => {
    const full = await imageOf(kind);
    const argv = ['delete', '--in-place', full, 's1', 's3'];
    const missing = expectNoRoom(full, argv, '--dry-run');
    expect(missing).toBe(kind.clusterBytes);
    expect(limited(statSync(full).size, argv).stderr).toContain('\nhint: make so much room for');
    await expectDoneWith(missing, full, argv);

    const image = await imageOf(kind, 1);
    const before = contents(image);
    const { size } = statSync(image);
    const words = ['delete', '--in-place', image, 's1', 's3'];
    expect(limited(size, words)).toMatchObject(done);
    expect(statSync(image).size).toBe(size);
    const stays = before.snapshots.filter((_, i) => i === 1 || i === 3);
    expect(sameContents(contents(image), { ...before, snapshots: stays })).toBe(true);
    await expectSound(image);
  });

  test.each(oneIn(2, KINDS, 0))(
    'on a full disk delete --in-place fills no hole ($name)',
    async (kind) => {
      const last = `s${kind.snapshots}`;
      await withSmallFileSystem(2 ** 24, async (folder) => {
        const image = path.join(folder, 'disk.qcow2');
        // Free clusters that a discard has made holes of, and a snapshot that has nothing alone.
        copyFileSync(masters.get(kind)!, image);
        const guest = [
          `write -P 7 3M ${32 * kind.clusterBytes}`,
          `discard 3M ${32 * kind.clusterBytes}`,
        ];
        await use(image, ...guest, 'snapshot just-taken');
        const before = contents(image);
        fill(folder);
        for (const [stay, name] of [
          [kind.snapshots, 'just-taken'],
          [kind.snapshots - 1, last],
        ] as const) {
          const plain = unlimited(['delete', image, name]);
          expect(plain.status).toBe(1);
          expect(plain.stderr).toContain('--in-place');
          await expectSound(image);
          expect(unlimited(['delete', '--in-place', image, name])).toMatchObject(done);
          const expected = { ...before, snapshots: before.snapshots.slice(0, stay) };
          expect(sameContents(contents(image), expected)).toBe(true);
          await expectSound(image);
        }
      });
    },
  );

  test.each(oneIn(2, KINDS, 1))('nor one inside of a table or a cluster ($name)', async (kind) => {
    const names = Array.from({ length: kind.snapshots }, (_, i) => `s${i + 1}`);
    for (const words of [names.slice(-1), names, ['s1']]) {
      await withSmallFileSystem(2 ** 24, async (folder) => {
        const image = path.join(folder, 'disk.qcow2');
        copySparse(masters.get(kind)!, image);
        fill(folder);
        const before = contents(image);
        const bytes = readFileSync(image);
        const foretold = unlimited(['delete', '--in-place', '--dry-run', image, ...words]);
        const { status, stderr } = unlimited(['delete', '--in-place', image, ...words]);
        expect(status, stderr).toBe(foretold.status);
        rmSync(path.join(folder, FILLER));
        await expectSound(image);
        // Where others stay behind it, a new list needs a cluster that is no hole.
        if (words.length < kind.snapshots && words[0] === 's1') {
          expect(stderr).toContain('\nThe image is unchanged.\n');
          expect(readFileSync(image).equals(bytes)).toBe(true);
          return;
        }
        expect({ status, stderr }).toEqual(done);
        const stay = before.snapshots.slice(0, kind.snapshots - words.length);
        expect(sameContents(contents(image), { ...before, snapshots: stay })).toBe(true);
      });
    }
  });

  describe('a repair', () => {
    const DAMAGES = {
      leaks: (was: bigint) => was + 1n,
      all: () => 0n,
    } as const;
    const classes = Object.keys(DAMAGES) as (keyof typeof DAMAGES)[];
    const cases = KINDS.flatMap((kind, i) =>
      (isLong ? classes : [classes[i]!]).map((what) => {
        return { kind, what, name: `${what}, ${kind.name}` };
      }),
    );

    /** The refcount of the last cluster, where guest data lies, is wrong. */
    async function damagedImage(kind: Kind, what: keyof typeof DAMAGES): Promise<string> {
      const image = await imageOf(kind);
      breakImage(image, ({ bytes, layout }) => {
        const cluster = Math.ceil(bytes.length / layout.clusterBytes) - 1;
        const count = DAMAGES[what](refcountOf(bytes, layout, cluster));
        const block = blockAt(bytes, layout, cluster);
        const index = cluster % blockEntries(layout);
        putRefcountAt(bytes, block, layout.refcountBits, index, count);
        return undefined;
      });
      return image;
    }

    test.each(oneIn(2, cases, 0))(
      'without room says so, and keeps no undo file ($name)',
      async (one) => {
        const image = await damagedImage(one.kind, one.what);
        const before = readFileSync(image);
        const undo = `${image}.undo`;
        const argv = ['repair', image, one.what, '--undo', undo];
        const missing = expectNoRoom(image, argv, '--plan');
        expect(existsSync(undo)).toBe(false);
        await expectDoneWith(missing, image, argv);
        expect(limited(before.length + missing, ['undo', undo, image])).toMatchObject(done);
        expect(readFileSync(image).equals(before)).toBe(true);
      },
    );

    test.each(oneIn(2, cases, 1))(
      'uses what is free inside, and so does undo ($name)',
      async (one) => {
        const image = await damagedImage(one.kind, one.what);
        const size = statSync(image).size + 8 * one.kind.clusterBytes;
        truncateSync(image, size);
        const before = readFileSync(image);
        const undo = `${image}.undo`;
        const words = one.what === 'leaks' ? ['leaks', '--punch'] : [one.what];
        const repair = limited(size, ['repair', image, ...words, '--undo', undo]);
        expect(repair).toMatchObject(done);
        expect(statSync(image).size).toBe(size);
        await expectSound(image);
        expect(limited(size, ['undo', undo, image])).toMatchObject(done);
        expect(readFileSync(image).equals(before)).toBe(true);
      },
    );
  });
});
