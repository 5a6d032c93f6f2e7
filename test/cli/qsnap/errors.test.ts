/** What goes wrong, and how it is said: one sentence, a hint, the state of the image. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../src/cli/qsnap/run.js';
import { openFile, openFileForEdit } from '../../../src/node/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { expectSound, imageOf, parsed, qsnap, shown } from './harness.js';
import { uninterrupted } from '../../../src/cli/interruption.js';

describe('a file that can not be opened', () => {
  test('that is not there', async () => {
    const { code, stdout, stderr } = await qsnap(['list', 'no-such-file.qcow2']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe("qsnap: Can't open no-such-file.qcow2: there is no such file\n");
  });

  test('that is a directory', async () => {
    const directory = join(temporaryDirectory(), 'disk.qcow2');
    mkdirSync(directory);
    const { code, stderr } = await qsnap(['info', directory]);
    expect(code).toBe(1);
    expect(stderr).toBe(`qsnap: ${directory} is a directory, not a file\n`);
  });

  test('that is no qcow2 image', async () => {
    const path = join(temporaryDirectory(), 'text.qcow2');
    writeFileSync(path, 'hello '.repeat(100));
    const { code, stderr } = await qsnap(['create', path, 'x']);
    expect(code).toBe(1);
    expect(shown(stderr, path)).toMatch(
      /^qsnap: text.qcow2: not a qcow2 image: .*\n(hint: .*\n)?The image is unchanged\.\n$/,
    );
    expect(readFileSync(path, 'utf8')).toBe('hello '.repeat(100));
  });
});

describe('an image that is in use', () => {
  test('by an editor: nobody reads it, unless with --force-share', async () => {
    const image = imageOf('five-snapshots');
    const device = await openFileForEdit(image);
    try {
      expect(device.lock.guarantee).toBe('locked');
      const refused = await qsnap(['list', image]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('is in use by ');
      expect(refused.stderr).toContain('\nhint: close the image where this program has it open');
      expect((await qsnap(['list', '-U', image])).code).toBe(0);
    } finally {
      await device.close();
    }
  });

  test('by a reader: nobody edits it', async () => {
    const image = imageOf('five-snapshots');
    const source = await openFile(image);
    try {
      expect((await qsnap(['list', image])).code).toBe(0);
      const { code, stdout, stderr } = await qsnap(['delete', '--json', image, 'id:1']);
      expect(code).toBe(1);
      expect(parsed('edit', stdout)).toMatchObject({
        error: { code: 'IMAGE_IN_USE', kind: 'busy', 'image-state': 'unchanged', file: image },
      });
      expect(stderr).toMatch(/The image is unchanged\.\n$/);
    } finally {
      await source.close();
    }
    await expectSound(image);
  });
});

describe('a selector', () => {
  test('that means nothing: the snapshots that there are', async () => {
    const image = imageOf('five-snapshots');
    const { code, stderr } = await qsnap(['show', image, 'nightly']);
    expect(code).toBe(1);
    expect(shown(stderr, image)).toMatchInlineSnapshot(`
      "qsnap: five-snapshots.qcow2: no snapshot has the id or name "nightly"
        id:1  2023-11-14 22:13:20  clean install
        id:2  2023-11-15 22:13:20  updates applied
        id:3  2023-11-16 22:13:20  before database migration
        id:4  2023-11-17 22:13:20  after database migration
        id:5  2023-11-18 22:13:20  release candidate
      hint: \`qsnap list\` shows them all
      "
    `);
  });

  test('that means several: what to type for each', async () => {
    const image = imageOf('names-duplicate');
    const { code, stdout, stderr } = await qsnap(['delete', '--json', image, 'base']);
    expect(code).toBe(1);
    expect(shown(stderr, image)).toMatchInlineSnapshot(`
      "qsnap: names-duplicate.qcow2: "base" means 3 snapshots
        id:1  2023-11-14 22:13:20  base
        id:2  2023-11-15 22:13:20  base
        id:3  2023-11-16 22:13:20  base
      hint: say which one: id:ID, name:NAME, or #POSITION in the snapshot table, from #0
      The image is unchanged.
      "
    `);
    expect(parsed('edit', stdout)).toMatchObject({ error: { code: 'SNAPSHOT_AMBIGUOUS' } });
  });

  test('that is the id of one and the name of another', async () => {
    const image = imageOf('names-like-ids');
    const listed = await qsnap(['list', '--json', image]);
    const { images } = parsed('list', listed.stdout) as {
      images: [{ snapshots: { id: string; name: string }[] }];
    };
    const { snapshots } = images[0];
    const both = snapshots.find(({ name }) => snapshots.some(({ id }) => id === name))!;
    const refused = await qsnap(['show', image, both.name]);
    expect(refused.code).toBe(1);
    const line = new RegExp(`^  id:${both.id}  [-: 0-9]+  ${both.name}$`, 'm');
    expect(refused.stderr).toMatch(line);
    const exact = await qsnap(['show', '--json', image, `id:${both.id}`]);
    expect(parsed('show', exact.stdout)).toMatchObject({ snapshot: both });
  });

  test('among 300: no more than ten are listed', async () => {
    const image = imageOf('snapshots-300');
    const { stderr } = await qsnap(['show', image, 'nobody']);
    expect(stderr.split('\n').length).toBeLessThan(16);
    expect(stderr).toContain('  and 290 more\n');
  });
});

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

describe('several images', () => {
  test('what is wrong with one does not stop the others', async () => {
    const image = imageOf('five-snapshots');
    const argv = ['list', 'gone.qcow2', image, imageOf('no-snapshots')];
    const { code, stdout, stderr } = await qsnap(argv);
    expect(code).toBe(1);
    expect(stderr).toBe("qsnap: Can't open gone.qcow2: there is no such file\n");
    expect(stdout).toContain('clean install');
    expect(stdout).toContain('no-snapshots.qcow2:\nNo snapshots.\n');
    const json = await qsnap(['list', '--json', 'gone.qcow2', image]);
    expect(json.code).toBe(1);
    expect(parsed('list', json.stdout)).toMatchObject({
      images: [
        { filename: 'gone.qcow2', error: { code: 'OPEN_FAILED', 'system-code': 'ENOENT' } },
        { filename: image, format: 'qcow2' },
      ],
    });
  });

  test('a snapshot that can not be compared is listed all the same', async () => {
    const image = imageOf('five-snapshots');
    const { stdout: shownJson } = await qsnap(['show', '--json', image, 'id:1']);
    const { snapshot } = parsed('show', shownJson) as { snapshot: { 'l1-offset': number } };
    overwrite(image, snapshot['l1-offset'], Uint8Array.of(0, 0xff, 0, 0, 0, 0, 0, 0));
    const { code, stdout, stderr } = await qsnap(['list', image]);
    expect(code).toBe(0);
    expect(stdout).toContain('ID  NAME');
    expect(stderr).toMatch(/^warning: .*can't tell which snapshot the active disk equals/);
    expect((await qsnap(['-q', 'list', image])).stderr).toBe('');
  });
});

describe('wrong usage', () => {
  // `--undo ""`, of a variable without a value, repaired and told of an undo file that nobody had written.
  test.each([
    ['repair', '--undo', '', 'IMAGE'],
    ['repair', '--undo=', 'IMAGE'],
    ['export', 'IMAGE', '-o', ''],
    ['export', 'IMAGE', '-o', 'OUT', '--manifest', ''],
    ['export', 'IMAGE', '-o', 'OUT', '--salvage', '--salvage-map', ''],
    ['export', 'IMAGE', '-o', 'OUT', '--passphrase-file', ''],
    ['compare', 'IMAGE', '', '-w', 'id:1'],
    ['compare', 'IMAGE', '-w', 'id:1', '--passphrase-file', ''],
    ['rescue', 'IMAGE', '-o', ''],
    ['rescue', 'IMAGE', '-o', 'OUT', '--map', ''],
    ['undo', '', 'IMAGE'],
    ['list', 'IMAGE', ''],
    ['info', ''],
  ])('a file without a name: %s %s %s %s', async (...argv) => {
    const image = imageOf('refcount-too-low');
    const before = readFileSync(image);
    const out = join(temporaryDirectory(), 'out');
    const named = argv.map((word) => (word === 'IMAGE' ? image : word === 'OUT' ? out : word));
    const { code, stdout, stderr } = await qsnap(named);
    expect({ code, stdout }).toEqual({ code: argv[0] === 'compare' ? 2 : 1, stdout: '' });
    expect(stderr).toMatch(
      /^qsnap: (option|argument) '.*' .*is empty: no file has that name\nhint: /,
    );
    expect(Buffer.compare(readFileSync(image), before)).toBe(0);
    expect(existsSync(out)).toBe(false);
  });

  test.each([
    [['lst', 'x'], "unknown command 'lst'\nhint: Did you mean list?"],
    [['list'], "missing required argument 'image'\nhint: `qsnap list --help` shows what it takes"],
    [['list', '--jsn', 'x'], "unknown option '--jsn'\nhint: Did you mean --json?"],
    [['show', 'a', 'b', 'c'], "too many arguments for 'show'. Expected 2 arguments but got 3."],
    [['create', '--date', 'soon', 'a', 'b'], "argument 'soon' is invalid. Write 2026-11-22T14:03"],
    [['create', '-U', 'a', 'b'], '--force-share is for reading'],
  ])('%j', async (argv, message) => {
    const { code, stdout, stderr } = await qsnap(argv);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^qsnap: /);
  });

  test('in JSON too', async () => {
    const { code, stdout } = await qsnap(['list', '--json']);
    expect(code).toBe(1);
    expect(parsed('list', stdout)).toEqual({
      error: { code: 'USAGE', kind: 'request', message: "missing required argument 'image'" },
    });
  });

  test('arguments that are not UTF-8', async () => {
    const image = imageOf('five-snapshots');
    const mangled = ['create', image, 'a\ufffdb'];
    const { code, stderr } = await qsnap(mangled, { argumentsAreExact: false });
    expect(code).toBe(1);
    expect(stderr).toMatchInlineSnapshot(`
      "qsnap: argument 3 is not valid UTF-8, and qsnap takes no other names
      hint: a snapshot with such a name can be selected by its id, as in id:3
      "
    `);
    // U+FFFD itself is a character as any other.
    expect((await qsnap(mangled, { argumentsAreExact: true })).code).toBe(0);
    await expectSound(image);
  });
});

test('the state of the image is nothing that a command that only reads speaks of', async () => {
  const { stderr } = await qsnap(['list', 'gone.qcow2']);
  expect(stderr).not.toContain('The image ');
});

test('a bug is shown whole, with a request to report it', async () => {
  const image = imageOf('five-snapshots');
  let stderr = '';
  const code = await run(['list', image], {
    stdout: {
      isTerminal: false,
      write: () => {
        throw new TypeError('boom\x1b[2J');
      },
    },
    stderr: { isTerminal: false, write: (text) => (stderr += String(text)) },
    env: {},
    now: () => new Date(0),
    argumentsAreExact: () => true,
    interruptible: uninterrupted,
  });
  expect(code).toBe(1);
  expect(stderr).toContain('TypeError: boom\\x1b[2J\n    at ');
  expect(stderr).toMatch(/please report it with the command and the lines above\n$/);
});

describe('hostile text', () => {
  test('in a path and a selector reaches the terminal escaped', async () => {
    const argv = ['show', 'no\x1b]0;title\x07\nfile', '\u202eevil'];
    const missing = await qsnap(argv);
    expect(missing.stderr).toBe(
      "qsnap: Can't open no\\x1b]0;title\\x07\\nfile: there is no such file\n",
    );
    const { stderr } = await qsnap(['show', imageOf('five-snapshots'), '\u202eevil\x9b2J']);
    expect(stderr).toContain('"\\u{202e}evil\\u{9b}2J"');
    expect((await qsnap(['\x1b[2J'])).stderr).not.toContain('\x1b');
  });

  test('in the name of a feature, which becomes part of a message', async () => {
    const image = imageOf('feature-incompatible-named');
    overwrite(image, readFileSync(image).indexOf('from the future'), Buffer.from('\x1b[2J\n'));
    const { code, stderr } = await qsnap(['list', image]);
    expect(code).toBe(1);
    expect(stderr).toContain('\\x1b[2J\\n');
    expect(stderr).not.toContain('\x1b');
  });

  test('in JSON is escaped, and parses to what it was', async () => {
    const image = imageOf('no-snapshots');
    const name = 'right \u202e to \u009b left';
    // qsnap makes no such name; other programs do.
    expect((await qsnap(['create', image, 'right ... to .. left'])).code).toBe(0);
    overwrite(image, readFileSync(image).indexOf('right ...'), Buffer.from(name));
    const { stdout } = await qsnap(['list', '--json', image]);
    expect(stdout).toContain('"right \\u202e to \\u009b left"');
    expect(parsed('list', stdout)).toMatchObject({ images: [{ snapshots: [{ name }] }] });
    await expectSound(image);
  });
});
