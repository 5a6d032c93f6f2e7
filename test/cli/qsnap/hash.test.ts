/** `qsnap hash`: what QEMU reads, what exports hold, and what sha256sum makes of the lines. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  copyCompanions,
  copyFixture,
  expectedContents,
  fixtureNames,
  recipe,
} from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { layoutOf } from '../../support/image-builder.js';
import { fileObjectsOf } from './dfxml-reader.js';
import { imageOf, parsed, qsnap } from './harness.js';

interface Hashed {
  readonly id?: string;
  readonly file: string;
  readonly 'disk-size': number;
  readonly hash?: string;
  readonly error?: { readonly code: string };
  readonly pieces?: readonly { start: number; length: number; hash: string }[];
}

interface Document {
  readonly disks: readonly Hashed[];
  readonly 'vm-states': readonly Hashed[];
}

async function documentOf(...argv: readonly string[]): Promise<Document> {
  const { stdout } = await qsnap(['hash', '--json', ...argv]);
  return parsed('hash', stdout) as Document;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What QEMU reads all the same, and qsnap says what is wrong with. */
const FAILS: Readonly<Record<string, string>> = {
  'backing-json-name': 'BACKING_REFUSED',
  'backing-missing': 'OPEN_FAILED',
  'l2-past-end': 'IMAGE_DAMAGED',
  'l2-unaligned': 'IMAGE_DAMAGED',
};
const UNREADABLE = ['qcow-version-1', 'feature-incompatible-named', 'feature-incompatible-unknown'];
/** Disks that hold so much nothing that hashing them would take all day. */
const HASHED_BYTES_MAX = 2 ** 28;

describe('every disk of every fixture, as QEMU recorded it', () => {
  const names = fixtureNames().filter((name) => {
    if (UNREADABLE.includes(name)) return false;
    const { active, snapshots } = expectedContents(name);
    const sizes = [active.sizeBytes, ...snapshots.map(({ diskSizeBytes }) => diskSizeBytes)];
    return Math.max(...sizes.map((bytes) => bytes ?? Infinity)) <= HASHED_BYTES_MAX;
  });

  test.each(names)('%s', async (name) => {
    const folder = temporaryDirectory();
    const image = copyFixture(name, folder);
    const key = path.join(folder, 'passphrase');
    const { secret } = recipe(name);
    writeFileSync(key, secret ?? '');
    const named = copyCompanions(name, folder).length > 0 || name.startsWith('backing');
    const { disks } = await documentOf(
      ...(named ? ['--backing'] : []),
      ...(secret === undefined ? [] : ['--passphrase-file', key]),
      image,
    );
    const { active, snapshots } = expectedContents(name);
    const expected = [active, ...snapshots];
    expect(disks).toHaveLength(expected.length);
    const failed = disks.filter(({ error }) => error !== undefined);
    if (name in FAILS) {
      expect(failed.map(({ error }) => error!.code)).toContain(FAILS[name]);
    } else expect(failed).toEqual([]);
    for (const [i, { hash, error }] of disks.entries()) {
      if (error === undefined) expect([i, hash]).toEqual([i, expected[i]!.sha256]);
    }
  });
});

describe('lines', () => {
  test('sha256sum -c finds every export right, and says which one is not', async () => {
    const folder = temporaryDirectory();
    const image = copyFixture('five-snapshots', folder);
    const ids = ['active', '1', '2', '3', '4', '5'];
    for (const id of ids) {
      const selector = id === 'active' ? [] : [`id:${id}`];
      await qsnap(['export', image, ...selector, '-o', `${image}.${id}.raw`]);
    }
    const { code, stdout } = await qsnap(['hash', image]);
    expect(code).toBe(0);
    const check = (): string[] => {
      const { stdout: told } = spawnSync('sha256sum', ['-c', '--strict'], {
        input: stdout,
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C' },
      });
      return told.trimEnd().split('\n');
    };
    expect(check()).toEqual(ids.map((id) => `${image}.${id}.raw: OK`));
    const other = readFileSync(`${image}.3.raw`);
    other[12345]! ^= 1;
    writeFileSync(`${image}.3.raw`, other);
    expect(check().filter((line) => line.endsWith('FAILED'))).toEqual([`${image}.3.raw: FAILED`]);
  });

  test('ids that are no file names give way to positions, and a template names the files', async () => {
    const image = imageOf('ids-not-numeric');
    const { stdout } = await qsnap(['hash', '--name-template', '{disk}.img', image]);
    const files = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(66));
    expect(files).toEqual(['active.img', 'x.img', '#1.img']);
    expect((await qsnap(['hash', '--name-template', 'all', image])).code).toBe(1);
  });

  test('VM states are comments to sha256sum', async () => {
    const image = imageOf('vm-state');
    const { code, stdout } = await qsnap(['hash', image]);
    expect(code).toBe(0);
    const vmStates = stdout.split('\n').filter((line) => line.endsWith('.vmstate'));
    expect(vmStates.length).toBeGreaterThan(0);
    for (const line of vmStates) expect(line).toMatch(/^# [0-9a-f]{64} {2}/);
  });

  test.each(['md5', 'sha1', 'sha512'])('%s', async (algorithm) => {
    const image = imageOf('five-snapshots');
    const out = path.join(temporaryDirectory(), 'out');
    await qsnap(['export', image, '-o', out]);
    const { stdout } = await qsnap(['hash', '--algorithm', algorithm, image]);
    const digest = createHash(algorithm).update(readFileSync(out)).digest('hex');
    expect(stdout.split('  ')[0]).toBe(digest);
  });
});

describe('pieces', () => {
  test.each([512, 65536, 2 ** 20, 2 ** 23])('of %i bytes, each of its bytes', async (bytes) => {
    for (const fixture of ['five-snapshots', 'cluster-512', 'resized-smaller', 'zeros']) {
      const image = imageOf(fixture);
      const { disks } = await documentOf('--piecewise', String(bytes), '--whole', image);
      for (const disk of disks) {
        const out = path.join(temporaryDirectory(), 'out');
        const selector = disk.id === undefined ? [] : [`id:${disk.id}`];
        await qsnap(['export', image, ...selector, '-o', out]);
        const content = readFileSync(out);
        expect(disk.hash).toBe(sha256(content));
        const expected = [];
        for (let start = 0; start < content.length; start += bytes) {
          const piece = content.subarray(start, start + bytes);
          expected.push({ start, length: piece.length, hash: sha256(piece) });
        }
        expect(disk.pieces).toEqual(expected);
      }
    }
  });

  test('as lines, in place of whole disks', async () => {
    const { stdout } = await qsnap(['hash', '--piecewise', '1M', imageOf('five-snapshots')]);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(6 * 4);
    expect(lines[0]).toMatch(/\.active\.raw@0\+1048576$/);
  });
});

describe('what can not be hashed', () => {
  test.each([
    ['luks', 'ENCRYPTED'],
    ['backing', 'BACKING_REFUSED'],
    ['data-file', 'DATA_FILE_REFUSED'],
  ])('%s: each disk is told, with %s and exit code 1', async (fixture, error) => {
    const { code, stdout, stderr } = await qsnap(['hash', '--json', imageOf(fixture)]);
    const { disks } = parsed('hash', stdout) as Document;
    expect(code).toBe(1);
    expect(disks.length).toBeGreaterThan(0);
    for (const disk of disks) expect([disk.error?.code, disk.hash]).toEqual([error, undefined]);
    expect(stderr.match(/was not hashed/g)).toHaveLength(disks.length);
  });

  test('a disk whose L1 table is lost does not stop the others', async () => {
    const image = imageOf('five-snapshots');
    const bytes = readFileSync(image);
    const { l1At } = layoutOf(bytes);
    // An entry that leads nowhere.
    bytes.fill(0x7f, l1At, l1At + 8);
    writeFileSync(image, bytes);
    const { stdout } = await qsnap(['hash', '--json', image]);
    const { disks } = parsed('hash', stdout) as Document;
    const { snapshots } = expectedContents('five-snapshots');
    expect(disks[0]!.error!.code).toBe('IMAGE_DAMAGED');
    expect(disks.slice(1).map(({ hash }) => hash)).toEqual(snapshots.map((one) => one.sha256));
  });
});

test('DFXML has where the bytes of each disk lie', async () => {
  const image = imageOf('five-snapshots');
  const { stdout } = await qsnap([
    'hash',
    '--format',
    'dfxml',
    '--piecewise',
    '1M',
    '--whole',
    image,
  ]);
  const objects = fileObjectsOf(stdout);
  const { active, snapshots } = expectedContents('five-snapshots');
  expect([...objects.values()].map((one) => one.get('hashdigest'))).toEqual(
    [active, ...snapshots].map((one) => one.sha256),
  );
  const runs = [
    ...stdout.matchAll(/<byte_run file_offset="(\d+)" len="(\d+)"( img_offset="\d+")?/g),
  ];
  const bytes = runs.reduce((sum, [, , length]) => sum + Number(length), 0);
  expect(bytes).toBe(6 * active.sizeBytes!);
  expect(runs.some(([, , , at]) => at !== undefined)).toBe(true);
});
