/** A refresh reads what changed, and nothing else. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openImageFile } from '../../../src/node/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyFixture, loadFixture } from '../../support/fixture.js';
import { describeUnless } from '../../support/left-out.js';
import { rangeServer } from '../../support/range-server.js';
import { lackOfPostgres, startPostgres, type Postgres } from '../../support/postgres.js';
import { qsnap } from '../qsnap/harness.js';

interface Done {
  readonly places: Readonly<
    Record<
      string,
      {
        readonly found: number;
        readonly added: number;
        readonly changed: number;
        readonly gone: number;
      }
    >
  >;
  readonly read: number;
  readonly states: Readonly<Record<string, number>>;
}

describeUnless(
  lackOfPostgres(),
  'QSNAP_REQUIRE_POSTGRES',
  'a place that is looked at again',
  () => {
    let server: Postgres;
    const folder = join(temporaryDirectory(), 'place');
    const image = join(folder, 'no-snapshots.qcow2');
    beforeAll(async () => {
      server = (await startPostgres())!;
      mkdirSync(join(folder, 'below'), { recursive: true });
      copyFixture('no-snapshots', folder);
      copyFixture('five-snapshots', join(folder, 'below'));
      copyFixture('qcow-version-1', folder);
      writeFileSync(join(folder, 'notes.qcow2'), 'no image, whatever its name');
      symlinkSync(image, join(folder, 'link.qcow2'));
      spawnSync('mkfifo', [join(folder, 'pipe.qcow2')]);
    });
    afterAll(async () => {
      await server.stop();
    });

    const asked = async (...argv: readonly string[]): Promise<Done> => {
      const { code, stdout, stderr } = await qsnap([
        'catalog',
        ...argv,
        '--json',
        '--database',
        server.url,
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return JSON.parse(stdout) as Done;
    };
    const totals = ({ places, read, states }: Done, place = folder) => ({
      ...places[place],
      read,
      states,
    });

    test('an image in use is read once it is free, and one that is the same is not read', async () => {
      const held = await openImageFile(image, { write: true });
      const added = await asked('add', folder);
      expect(totals(added)).toMatchObject({
        found: 3,
        added: 3,
        read: 3,
        states: { read: 1, failed: 2 },
      });
      await held.close();
      // The old image is no image that can be read, now as then.
      const freed = await asked('refresh');
      expect(totals(freed)).toMatchObject({ changed: 1, read: 1, states: { read: 2, failed: 1 } });
      expect(totals(await asked('refresh'))).toMatchObject({ changed: 0, read: 0 });
      expect(totals(await asked('refresh', '--all'))).toMatchObject({ changed: 3, read: 3 });
    });

    test('an edit is seen, though the time is put back', async () => {
      const { atime, mtime } = statSync(image);
      expect((await qsnap(['create', image, 'later'])).code).toBe(0);
      utimesSync(image, atime, mtime);
      expect(totals(await asked('refresh'))).toMatchObject({ changed: 1, read: 1, gone: 0 });
      const { stdout } = await qsnap([
        ...['catalog', 'query', '--drift', '--format', 'csv', '--database', server.url],
      ]);
      expect(stdout).toContain('later');
    });

    test('what went is gone, and what comes back is read', async () => {
      const away = join(temporaryDirectory(), 'away.qcow2');
      renameSync(image, away);
      expect(totals(await asked('refresh'))).toMatchObject({ found: 2, gone: 1, read: 0 });
      expect(totals(await asked('refresh'))).toMatchObject({ gone: 0, states: { gone: 1 } });
      copyFileSync(away, image);
      expect(totals(await asked('refresh'))).toMatchObject({ changed: 1, read: 1, gone: 0 });
    });

    test('a place that is not there leaves what is known as it was', async () => {
      renameSync(folder, `${folder}-away`);
      const { code, stderr, stdout } = await qsnap([
        'catalog',
        'refresh',
        '--database',
        server.url,
      ]);
      expect(code).toBe(1);
      expect(stderr).toContain('What the catalogue has of it is as it was.');
      expect(stdout).not.toContain('gone');
      renameSync(`${folder}-away`, folder);
      expect(totals(await asked('refresh'))).toMatchObject({ gone: 0, changed: 0 });
    });

    test('other rules and hashes are for every image; a plain add keeps them', async () => {
      expect(totals(await asked('add', folder, '--hash'))).toMatchObject({ changed: 3, read: 3 });
      expect(totals(await asked('add', folder))).toMatchObject({ changed: 0, read: 0 });
      const again = await asked('add', folder, '--profile', 'evidence');
      expect(totals(again)).toMatchObject({ changed: 3, read: 3 });
      const { stdout } = await qsnap([
        ...['catalog', 'query', '--format', 'csv', '--database', server.url],
        'select count(*) from disks where content_sha256 is not null',
      ]);
      expect(stdout).toContain('8');
    });

    test('a snapshot table that is cut off has not lost its snapshots', async () => {
      const other = join(folder, 'below', 'five-snapshots.qcow2');
      const bytes = readFileSync(other);
      truncateSync(other, 200_000);
      await asked('refresh');
      const { stdout } = await qsnap([
        ...['catalog', 'query', '--json', '--database', server.url],
        `select snapshot_count, (select count(*) from changes where what = 'snapshot' and became is null)
        from images where location like '%five%'`,
      ]);
      const { rows } = JSON.parse(stdout) as { rows: object[] };
      expect(rows).toEqual([{ snapshot_count: null, count: 0 }]);
      writeFileSync(other, bytes);
      await asked('refresh');
    });

    test('what is not there is no place from then on', async () => {
      const missing = join(folder, 'nowhere.qcow2');
      const argv = ['catalog', 'add', missing, '--database', server.url];
      expect((await qsnap(argv)).code).toBe(1);
      expect(totals(await asked('refresh'))).toMatchObject({ gone: 0 });
      expect((await qsnap(['catalog', 'add', '', '--database', server.url])).code).toBe(1);
    });

    test('a place is forgotten with its images, and an unknown one is told', async () => {
      const unknown = await qsnap(['catalog', 'refresh', '/nowhere', '--database', server.url]);
      expect(unknown.code).toBe(1);
      expect(unknown.stderr).toContain('/nowhere is no place of this catalogue');
      expect((await asked('remove', folder)) as unknown).toEqual({ removed: [folder] });
      expect((await asked('status')).states).toEqual({});
    });

    test('an address is a place: a refresh asks its server, and it is forgotten by its name', async () => {
      const bytes = loadFixture('five-snapshots');
      const served = { bytes, etag: '"one"' };
      const web = await rangeServer(served);
      try {
        expect(totals(await asked('add', web.url), web.url)).toMatchObject({ found: 1, added: 1 });
        const sql = `select snapshot_count, store from qsnap.images where location = '${web.url}'`;
        const argv = ['catalog', 'query', '--json', '--database', server.url, sql];
        const { rows } = JSON.parse((await qsnap(argv)).stdout) as { rows: object[] };
        expect(rows).toEqual([{ snapshot_count: 5, store: new URL(web.url).origin }]);
        expect(totals(await asked('refresh', web.url), web.url)).toMatchObject({ changed: 0 });
        served.etag = '"two"';
        expect(totals(await asked('refresh', web.url), web.url)).toMatchObject({ changed: 1 });
        expect((await asked('remove', web.url)) as unknown).toEqual({ removed: [web.url] });
      } finally {
        await web.close();
      }
    });

    test('an address with a secret in it is not kept, nor printed', async () => {
      const { code, stdout, stderr } = await qsnap([
        ...['catalog', 'add', 'https://user:secret@host/disk.qcow2', '--database', server.url],
      ]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).not.toContain('secret');
    });
  },
);

describe('a catalogue is made by who adds to it, and never among other files', () => {
  test.each(['query --oldest', 'status', 'refresh', 'worker'])('%s makes none', async (words) => {
    const folder = join(temporaryDirectory(), 'none');
    const [first, ...rest] = words.split(' ');
    const argv = first === 'worker' ? ['worker', '--once'] : ['catalog', first!, ...rest];
    const { code, stderr } = await qsnap([...argv, '--database', folder]);
    expect(code).toBe(1);
    expect(stderr).toContain('there is no catalogue in');
    expect(existsSync(folder)).toBe(false);
  });

  test.each([
    ['a folder of images', 'has other things in it'],
    ['a file', "can't use"],
    ['another scheme', 'begins with postgres://'],
  ])('%s is refused', async (what, message) => {
    const folder = temporaryDirectory();
    const image = copyFixture('no-snapshots', folder);
    const database = what === 'a file' ? image : what === 'another scheme' ? 'mysql://x/y' : folder;
    const { code, stderr } = await qsnap(['catalog', 'add', image, '--database', database]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(readdirSync(folder)).toEqual(['no-snapshots.qcow2']);
  });
});
