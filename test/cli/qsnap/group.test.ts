/** `--group`: several images by one name. */
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeGroupRecord, recordedHeader } from '../../../src/api/group/record.js';
import { resumeCommand } from '../../../src/cli/resume-command.js';
import { GROUP_SENTENCES } from '../../../src/cli/qsnap/group-failure.js';
import { newSha256, openFileForEdit, openImageFile } from '../../../src/node/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { alike } from '../../support/group-cuts.js';
import { expectSound, NOW, parsed, qsnap, type Ran } from './harness.js';

let folder: string;
let vm: string;
let nvram: string;
let group: readonly string[];

beforeEach(async () => {
  folder = mkdtempSync(path.join(temporaryDirectory(), 'group-'));
  vm = path.join(folder, 'vm.qcow2');
  nvram = path.join(folder, 'nvram.qcow2');
  group = ['--group', vm, nvram];
  writeFileSync(vm, await alike('cluster-512'));
  writeFileSync(nvram, await alike('extra-data-v2'));
});

const short = (text: string): string => text.replaceAll(`${folder}/`, '');

async function run(...argv: readonly string[]): Promise<Ran> {
  const { code, stdout, stderr } = await qsnap(argv);
  return { code, stdout: short(stdout), stderr: short(stderr) };
}

async function namesOf(image: string): Promise<readonly string[]> {
  const { images } = parsed('list', (await qsnap(['list', '--json', image])).stdout) as {
    images: [{ snapshots: readonly { name: string }[] }];
  };
  return images[0].snapshots.map(({ name }) => name);
}

async function expectAllSound(): Promise<void> {
  await expectSound(vm);
  await expectSound(nvram);
}

const record = (): string => path.join(folder, '.vm.qcow2.qsnap-group');

/** What a cut leaves between the switches of a create: the first image has it. */
async function cutCreate(): Promise<void> {
  const before = recordedHeader(readFileSync(vm));
  expect((await qsnap(['create', vm, 'new'])).code).toBe(0);
  const seconds = Math.floor(NOW.getTime() / 1000);
  const images = [vm, nvram].map((image, i) => ({
    file: path.basename(image),
    headerBefore: i === 0 ? before : recordedHeader(readFileSync(image)),
    headerAfter: recordedHeader(readFileSync(image)),
    chosen: [],
  }));
  const date = { seconds, nanoseconds: 345_000_000 };
  const request = { operation: 'create', name: 'new', date } as const;
  writeFileSync(record(), encodeGroupRecord({ request, images }, newSha256));
}

/** The same of a delete of the first snapshot. */
async function cutDelete(): Promise<void> {
  const images = await Promise.all(
    [vm, nvram].map(async (file) => {
      const header = recordedHeader(readFileSync(file));
      const image = await openImageFile(file);
      const { id, name, date } = image.snapshots[0]!;
      await image.close();
      const chosen = [{ id, name, date }];
      return { file: path.basename(file), headerBefore: header, headerAfter: header, chosen };
    }),
  );
  expect((await qsnap(['delete', vm, 'first'])).code).toBe(0);
  const request = { operation: 'delete', snapshots: ['first'] } as const;
  writeFileSync(record(), encodeGroupRecord({ request, images }, newSha256));
}

describe('create', () => {
  test('takes one of all images, with one date', async () => {
    expect(await run('create', 'new', ...group)).toEqual({
      code: 0,
      stderr: '',
      stdout:
        'Created snapshot 4 "new" in vm.qcow2.\n' +
        'Created snapshot 4 "new" in nvram.qcow2.\n' +
        'Both images have "new" now.\n',
    });
    const { stdout } = await qsnap(['list', '--json', ...group]);
    expect(parsed('group-list', stdout)).toMatchObject({
      names: expect.arrayContaining([
        {
          name: 'new',
          'is-everywhere': true,
          'dates-apart': false,
          ids: [['4'], ['4']],
        },
      ]) as unknown,
    });
    expect(existsSync(record())).toBe(false);
    await expectAllSound();
  });

  test('the name may come behind the images, after `--`', async () => {
    expect((await run('create', ...group, '--', '--new')).code).toBe(0);
    expect(await namesOf(nvram)).toContain('--new');
    await expectAllSound();
  });

  test('--json, --verify and --dry-run', async () => {
    const bytes = readFileSync(vm);
    const dry = await run('create', '--dry-run', 'new', ...group);
    expect(dry.stdout).toMatch(/^Dry run: vm\.qcow2 [^]*\n\nDry run: nvram\.qcow2 /);
    const planned = await qsnap(['create', '--json', '-n', 'new', ...group]);
    expect(parsed('group-edit', planned.stdout)).toMatchObject({
      operation: 'create',
      images: [{ filename: vm, 'dry-run': true }, { filename: nvram }],
    });
    expect(readFileSync(vm).equals(bytes)).toBe(true);
    const done = await qsnap(['create', '--json', '--verify', 'new', ...group]);
    expect(parsed('group-edit', done.stdout)).toMatchObject({
      images: [{ filename: vm, verified: true, created: [{ id: '4', name: 'new' }] }, {}],
      'have-it': [],
    });
    expect(await run('create', '--verify', 'other', ...group)).toMatchObject({
      stdout: expect.stringMatching(/\nVerified: .*\n$/) as string,
    });
    await expectAllSound();
  });

  test('a name that one image has: nothing is written to any', async () => {
    expect((await qsnap(['create', nvram, 'new'])).code).toBe(0);
    const bytes = readFileSync(vm);
    const { code, stdout, stderr } = await run('create', 'new', '--json', ...group);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'qsnap: nvram.qcow2: snapshot 4 is called "new" already\n' +
        'hint: choose another name, or rename the other snapshot first\n' +
        'All images of the group are unchanged.\n',
    );
    expect(parsed('group-edit', stdout)).toMatchObject({
      error: { code: 'NAME_IN_USE', 'image-state': 'unchanged' },
    });
    expect(readFileSync(vm).equals(bytes)).toBe(true);
    await expectAllSound();
  });

  test('an image that somebody has: nothing is written to any', async () => {
    const bytes = readFileSync(vm);
    const other = await openFileForEdit(nvram);
    const { code, stderr } = await run('create', 'new', ...group);
    await other.close();
    expect(code).toBe(1);
    expect(stderr).toContain('nvram.qcow2 is in use by this process itself');
    expect(stderr).toMatch(/\nAll images of the group are unchanged\.\n$/);
    expect(readFileSync(vm).equals(bytes)).toBe(true);
    await expectAllSound();
  });

  test('one file by two names is refused', async () => {
    const [link, hard] = [path.join(folder, 'link'), path.join(folder, 'hard')];
    symlinkSync(vm, link);
    linkSync(vm, hard);
    for (const [again, said] of [
      [vm, 'vm.qcow2 is named twice in the group'],
      [link, 'vm.qcow2 and link are one file'],
      [hard, 'vm.qcow2 and hard are one file'],
    ] as const) {
      const { code, stdout, stderr } = await run('create', 'new', '--json', ...group, again);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `qsnap: ${said}\nAll images of the group are unchanged.\n`,
      });
      expect(parsed('group-edit', stdout)).toMatchObject({ error: { code: 'GROUP_INVALID' } });
    }
    await expectAllSound();
  });
});

test('apply: all images, with what they held kept under one name', async () => {
  // What the disk holds is in no other snapshot.
  expect((await qsnap(['delete', vm, 'last'])).code).toBe(0);
  const refused = await run('apply', 'first', ...group);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^qsnap: vm\.qcow2: .*\nhint: save them \(--save-as NAME\)/);
  const { code, stdout } = await run('apply', 'first', '--save-as', 'before', ...group);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Created snapshot 2 "before" in vm\.qcow2\.\n/);
  expect(stdout).toMatch(/\nBoth images stand on "first" now\.\n$/);
  for (const image of [vm, nvram]) expect(await namesOf(image)).toContain('before');
  await expectAllSound();
});

test('delete: several at once, each of which has to be on every image', async () => {
  expect((await qsnap(['create', vm, 'lone'])).code).toBe(0);
  const refused = await run('delete', 'lone', 'first', ...group);
  expect(refused.stderr).toBe(
    'qsnap: nvram.qcow2: no snapshot has the name "lone"\n' +
      'hint: `qsnap list --group` shows which names are on which images\n' +
      'All images of the group are unchanged.\n',
  );
  // The same word may mean other snapshots on other images.
  expect((await qsnap(['create', nvram, 'solo'])).code).toBe(0);
  const apart = await run('delete', 'id:4', ...group);
  expect(apart.stderr).toMatch(
    /^qsnap: "id:4" is "lone" in vm\.qcow2 and ".*" in nvram\.qcow2\nhint: choose snapshots of a group by their names\n/,
  );
  const { code, stdout } = await run('delete', 'first', 'id:1', 'last', ...group);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nBoth images are without "first" and "last" now\.\n$/);
  expect(await namesOf(vm)).toEqual(['lone']);
  await expectAllSound();
});

describe('words that do not fit', () => {
  test.each([
    [
      ['create', '--group', 'a', 'b'],
      /^qsnap: missing required argument 'name'\nhint: it goes before --group, or behind `--`/,
    ],
    [['create', '--resume', 'x', '--group', 'a'], /^qsnap: --resume takes no names/],
    [
      ['create', 'x', '--id', '7', '--group', 'a'],
      /^qsnap: option '--id <id>' cannot be used with option '--group <images\.\.\.>'/,
    ],
    [
      ['delete', 'x', '--in-place', '--group', 'a'],
      /^qsnap: option '--in-place' cannot be used with option '--group/,
    ],
    [
      ['create', '--resume', '--date', '@1', '--group', 'a'],
      /cannot be used with option '--resume'|'--resume' cannot be used/,
    ],
    [
      ['create', 'x', '--group', 'a', ''],
      /^qsnap: option '--group <images\.\.\.>' argument is empty/,
    ],
    [['create', '--resume', 'a', 'b'], /^qsnap: --resume is for groups: --group names the images/],
    [['list', '--group', 'no-such-file'], /^qsnap: Can't open no-such-file/],
  ])('%j', async (argv, said) => {
    const { code, stderr } = await qsnap(argv);
    expect(stderr).toMatch(said);
    expect(code).toBe(1);
  });
});

describe('an edit that was cut', () => {
  test('is told by list, keeps other edits out, and is brought to its end', async () => {
    await cutCreate();
    const listed = await run('list', ...group);
    expect(listed.stderr).toBe(
      'warning: the create of "new" was cut and is unfinished: ' +
        '`qsnap create --resume --group vm.qcow2 nvram.qcow2` brings it to its end (.vm.qcow2.qsnap-group)\n',
    );
    expect(listed.stdout).toContain('\nOnly on vm.qcow2: "new".\n');
    const json = parsed('group-list', (await qsnap(['list', '--json', ...group])).stdout);
    expect(json).toMatchObject({ unfinished: { operation: 'create', files: [vm, nvram] } });
    expect((await run('create', 'other', ...group)).stderr).toBe(
      'qsnap: .vm.qcow2.qsnap-group: the group edit before this one, the create of "new", was cut and is unfinished\n' +
        'hint: `qsnap create --resume --group vm.qcow2 nvram.qcow2` brings all images to the edit\n' +
        'All images of the group are unchanged.\n',
    );
    expect((await run('delete', '--resume', ...group)).stderr).toContain(
      'the unfinished edit is a create of "new"\nhint: `qsnap create --resume --group vm.qcow2 nvram.qcow2` ',
    );
    const dry = await run('create', '--resume', '--dry-run', ...group);
    expect(dry.stdout).toMatch(/^Dry run: nvram\.qcow2 [^]*\nvm\.qcow2 has it already\.\n$/);
    const reversed = ['--group', nvram, vm];
    expect(await run('create', '--resume', ...reversed)).toEqual({
      code: 0,
      stderr: '',
      stdout:
        'Created snapshot 4 "new" in nvram.qcow2.\n' +
        'vm.qcow2 had it already.\n' +
        'Both images have "new" now.\n',
    });
    expect(existsSync(record())).toBe(false);
    expect(await run('create', '--resume', ...group)).toEqual({
      code: 0,
      stderr: '',
      stdout: 'No edit of this group is unfinished: nothing was done.\n',
    });
    await expectAllSound();
  });

  test('the command to resume it is for a shell', () => {
    const files = ['/a b/vm.qcow2', "/it's.qcow2", '/c.qcow2'];
    expect(resumeCommand({ operation: 'apply', files })).toBe(
      String.raw`qsnap apply --resume --group '/a b/vm.qcow2' '/it'\''s.qcow2' /c.qcow2`,
    );
  });

  test('nothing is claimed of an image that got the name anew', async () => {
    await cutDelete();
    expect((await qsnap(['create', vm, 'first'])).code).toBe(0);
    const { code, stdout } = await run('delete', '--resume', ...group);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /\nvm\.qcow2 had it already\.\nThe edit is complete: both images had it\.\n$/,
    );
    await expectAllSound();
  });

  test('of other images is not resumed', async () => {
    await cutCreate();
    const other = path.join(folder, 'other.qcow2');
    writeFileSync(other, readFileSync(nvram));
    const { code, stderr } = await run('create', '--resume', ...group, other);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'qsnap: .vm.qcow2.qsnap-group: the unfinished create of "new" is of other images\n' +
        '  vm.qcow2\n  nvram.qcow2\n' +
        'hint: `qsnap create --resume --group vm.qcow2 nvram.qcow2` brings all images to the edit\n' +
        'All images of the group are unchanged.\n',
    );
    await expectAllSound();
  });

  test('a record that is damaged is named', async () => {
    await cutCreate();
    const text = readFileSync(record(), 'utf8');
    writeFileSync(record(), text.replace('"new"', '"old"'));
    const { code, stdout, stderr } = await run('create', '--resume', '--json', ...group);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^qsnap: \.vm\.qcow2\.qsnap-group: the record can't be read: its sha256 is /,
    );
    expect(parsed('group-edit', stdout)).toMatchObject({ error: { code: 'GROUP_RECORD_INVALID' } });
    const listed = await run('list', ...group);
    expect(listed.stderr).toMatch(/^warning: \.vm\.qcow2\.qsnap-group: the record can't be read/);
    expect(listed.code).toBe(0);
    await expectAllSound();
  });
});

describe('list', () => {
  test('a row for each name, a column for each image, and what is not alike', async () => {
    await qsnap(['create', 'all', '--date', '@1700000000', ...group]);
    await qsnap(['create', '--date', '@1700000000', vm, 'apart']);
    await qsnap(['create', '--date', '@1700010000', nvram, 'apart']);
    await qsnap(['create', '--date', '@1700020000', nvram, 'lone']);
    await qsnap(['delete', 'first', 'last', ...group]);
    await qsnap(['apply', '--discard-changes', vm, 'all']);
    expect((await run('list', ...group)).stdout).toMatchSnapshot();
    await expectAllSound();
  });

  test('says that states have drifted apart', async () => {
    await qsnap(['apply', '--discard-changes', vm, 'first']);
    await qsnap(['apply', '--discard-changes', nvram, 'last']);
    const { stdout } = await run('list', ...group);
    expect(stdout).toContain(
      '\nvm.qcow2 stands on "first", nvram.qcow2 on "last": the states have drifted apart.\n',
    );
    const json = parsed('group-list', (await qsnap(['list', '--json', ...group])).stdout);
    expect(json).toMatchObject({ 'drifted-apart': true });
    await expectAllSound();
  });

  test('many images are numbered, and names that are alike told apart', async () => {
    const others = ['a', 'b'].map((name) => path.join(mkdtempSync(`${folder}/`), `${name}.qcow2`));
    for (const file of others) writeFileSync(file, readFileSync(vm));
    const far = mkdtempSync(path.join(folder, 'far-'));
    const twin = path.join(far, 'vm.qcow2');
    writeFileSync(twin, readFileSync(vm));
    const { stdout } = await run('list', ...group, twin, ...others);
    expect(stdout).toMatch(/^NAME .* \(1\) .*\(5\)\n/);
    expect(stdout).toMatch(/\n\(3\) far-.*\/vm\.qcow2\n/);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    await expectAllSound();
  });
});

test('docs/cli.md has the sentences after a failed edit of a group', () => {
  const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  for (const [state, sentence] of Object.entries(GROUP_SENTENCES)) {
    expect(page).toMatch(
      new RegExp(
        `^\\| \`${state}\` +\\| ${sentence.replaceAll(/[.`]/g, String.raw`\$&`)} +\\|$`,
        'm',
      ),
    );
  }
});
