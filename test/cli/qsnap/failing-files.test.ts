/** Files that fail, or can't be locked: what the commands say then. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { REPAIR_SENTENCES, STATE_SENTENCES } from '../../../src/cli/qsnap/report.js';
import { QsnapError, type ImageState } from '../../../src/index.js';
import * as node from '../../../src/node/index.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

vi.mock('../../../src/node/index.js', { spy: true });
const actual = await vi.importActual<typeof node>('../../../src/node/index.js');

/** The next edit's file fails with these details when it is opened. */
function failWith(imageState: ImageState | undefined): void {
  vi.mocked(node.openFileForEdit).mockRejectedValueOnce(
    new QsnapError(
      'WRITE_FAILED',
      "Can't write: the medium has an error",
      imageState === undefined ? {} : { imageState },
    ),
  );
}

describe('after a failed edit the last line says in which state the image is', () => {
  test.each(Object.entries(STATE_SENTENCES))('%s', async (state, line) => {
    failWith(state as ImageState);
    const { code, stdout, stderr } = await qsnap(['create', '--json', 'disk.qcow2', 'x']);
    expect(code).toBe(1);
    expect(stderr).toBe(`qsnap: disk.qcow2: Can't write: the medium has an error\n${line}\n`);
    expect(parsed('edit', stdout)).toMatchObject({ error: { 'image-state': state } });
  });

  test('an error that says nothing came before any write', async () => {
    failWith(undefined);
    const { stderr } = await qsnap(['delete', 'disk.qcow2', 'x']);
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
  });

  test('a file that fails to close after the edit is an edit that is done', async () => {
    const image = imageOf('five-snapshots');
    vi.mocked(node.openFileForEdit).mockImplementationOnce(async (path) => {
      const device = await actual.openFileForEdit(path);
      const close = device.close.bind(device);
      device.close = async () => {
        await close();
        throw new QsnapError('WRITE_FAILED', "Can't close the file");
      };
      return device;
    });
    const { code, stderr } = await qsnap(['create', image, 'new']);
    expect(code).toBe(1);
    expect(stderr).toContain(STATE_SENTENCES.new);
    expect((await qsnap(['show', image, 'new'])).code).toBe(0);
    await expectSound(image);
  });
});

test('a delete on a disk that turns out to be full says how much room it needs, and what does without', async () => {
  const image = imageOf('five-snapshots');
  vi.mocked(node.openFileForEdit).mockImplementationOnce(async (path) => {
    const device = await actual.openFileForEdit(path);
    device.writeBatch = () => Promise.reject(new QsnapError('NO_SPACE', 'no space is left'));
    return device;
  });
  const planned = await qsnap(['delete', '--json', '--dry-run', image, 'id:1']);
  const { plan } = parsed('edit', planned.stdout) as { plan: { shadow: { length: number }[] } };
  const bytes = plan.shadow.reduce((sum, { length }) => sum + length, 0);
  const { code, stderr } = await qsnap(['delete', image, 'id:1']);
  expect(code).toBe(1);
  expect(stderr).toContain(
    `\nhint: the edit needs ${bytes} bytes of free room: make so much room, or`,
  );
  expect(stderr).toContain('delete with --in-place');
  expect(stderr).toContain(STATE_SENTENCES.unchanged);
  await expectSound(image);
});

// An hour's copy is not taken back for a file of a few lines.
test.each([
  ['export', ['--manifest']],
  ['rescue', ['--all', '--map']],
] as const)(
  '%s: a name taken while it ran, for what goes beside the copy',
  async (name, options) => {
    const image = imageOf('five-snapshots');
    const [copy, beside] = [`${image}.copy`, `${image}.json`];
    vi.mocked(node.createOutputFile).mockImplementation(async (file, how) => {
      const output = await actual.createOutputFile(file, how);
      const commit = output.commit.bind(output);
      output.commit = async () => {
        if (file === beside) writeFileSync(file, 'of somebody else');
        await commit();
      };
      return output;
    });
    const { code, stderr } = await qsnap([name, image, '-o', copy, ...options, beside]);
    vi.mocked(node.createOutputFile).mockReset();
    expect(code).toBe(1);
    expect(stderr).toContain(`${beside} exists already: it was made meanwhile`);
    expect(stderr).toContain(`hint: ${copy} is complete and has its name`);
    expect(readFileSync(beside, 'utf8')).toBe('of somebody else');
    expect(existsSync(copy)).toBe(true);
    await expectSound(image);
  },
);

test('what is wrong with the file of an undo is said of that file', async () => {
  const image = imageOf('refcount-too-low');
  const undo = path.join(path.dirname(image), 'old.undo');
  writeFileSync(undo, 'no undo file');
  const kept = await qsnap(['repair', '--undo', undo, image]);
  expect(kept.stderr).toContain(`: ${undo} exists already\nhint: choose another name\n`);
  const undone = await qsnap(['undo', undo, image]);
  expect(undone.stderr).toContain(`qsnap: ${undo}: this is no undo file of qsnap: it is too short`);
  for (const { code, stderr } of [kept, undone]) {
    expect(code).toBe(1);
    expect(stderr).toContain('The image is unchanged.');
  }
  expect(readFileSync(undo, 'utf8')).toBe('no undo file');
  expect((await qsnap(['repair', image])).code).toBe(0);
  await expectSound(image);
});

describe('after a failed repair nothing calls the image sound', () => {
  test.each(Object.entries(REPAIR_SENTENCES))('%s', async (state, line) => {
    for (const argv of [
      ['repair', '--json', 'disk.qcow2'],
      ['undo', '--json', imageOf('five-snapshots'), 'disk.qcow2'],
    ] as const) {
      failWith(state as ImageState);
      const { code, stdout, stderr } = await qsnap(argv);
      expect(code).toBe(1);
      expect(stderr).toBe(`qsnap: disk.qcow2: Can't write: the medium has an error\n${line}\n`);
      expect(parsed(argv[0], stdout)).toMatchObject({ error: { 'image-state': state } });
    }
    expect(line).not.toContain('is sound');
  });

  test.each([
    ['before all: its undo file is gone, and the next one of that name is made', 1, 'unchanged'],
    ['before its switch: the same', 2, 'old'],
    ['at its switch: its undo file stays', 3, 'old-or-new'],
  ] as const)('%s', async (_, nth, state) => {
    const stays = state === 'old-or-new';
    const image = imageOf('refcount-too-low');
    const undo = path.join(path.dirname(image), 'old.undo');
    vi.mocked(node.openFileForEdit).mockImplementationOnce(async (path) => {
      const device = await actual.openFileForEdit(path);
      const flush = device.flush.bind(device);
      let flushes = 0;
      device.flush = async () => {
        flushes += 1;
        if (flushes === nth) throw new QsnapError('WRITE_FAILED', "Can't flush");
        await flush();
      };
      return device;
    });
    const { code, stderr } = await qsnap(['repair', '--undo', undo, image]);
    expect(code).toBe(1);
    expect(stderr).toContain(REPAIR_SENTENCES[state]);
    expect(existsSync(undo)).toBe(stays);
    if (stays) rmSync(undo);
    const again = await qsnap(['repair', '--undo', undo, image]);
    expect(again.code).toBe(0);
    await expectSound(image);
  });
});

describe('where images can not be locked', () => {
  test.each([
    ['looked', 'nobody was using it at the start, but nothing keeps others from opening it'],
    ['none', 'whether anybody is using it is not known'],
  ] as const)('an edit warns: %s', async (guarantee, sentence) => {
    const image = imageOf('five-snapshots');
    const unlocked = async (path: string) => {
      const device = await actual.openFileForEdit(path);
      return Object.assign(device, { lock: { ...device.lock, guarantee } });
    };
    vi.mocked(node.openFileForEdit).mockImplementationOnce(unlocked);
    const { code, stderr } = await qsnap(['create', image, 'new']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: .*: the image can't be locked here: /);
    expect(stderr).toContain(sentence);
    vi.mocked(node.openFileForEdit).mockImplementationOnce(unlocked);
    expect((await qsnap(['-q', 'create', image, 'newer'])).stderr).toBe('');
    await expectSound(image);
  });

  test.each([
    ['none', [], /^warning: .*: whether another program writes to the image can't be told here/],
    ['none', ['-U'], /^$/],
    ['looked', [], /^$/],
  ] as const)('a list with guarantee %s and %j', async (guarantee, argv, warning) => {
    const image = imageOf('five-snapshots');
    vi.mocked(node.openFile).mockImplementationOnce(async (path, options) => {
      const source = await actual.openFile(path, options);
      return Object.assign(source, { lock: { ...source.lock, guarantee } });
    });
    const { code, stderr } = await qsnap(['list', ...argv, image]);
    expect(code).toBe(0);
    expect(stderr).toMatch(warning);
  });
});
