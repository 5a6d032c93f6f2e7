import { copyFileSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { memoryDevice, openGuestDisk, openImage, type BlockSource } from '../../../src/index.js';
import { fileGate, openFile } from '../../../src/node/index.js';
import { copyCompanions, copyFixture, loadFixture } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';

async function opening(file: string): Promise<string> {
  const source = await openFile(file);
  try {
    const disk = await openGuestDisk(await openImage(source), { gate: fileGate() });
    const { length } = disk.chain;
    await disk.close();
    return `opened ${length}`;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await source.close();
  }
}

/** A copy of an image with another backing name of the same length. */
function renamed(fixture: string, from: string, to: string): Uint8Array {
  const bytes = Buffer.from(loadFixture(fixture));
  bytes.write(to, bytes.indexOf(from), 'latin1');
  return bytes;
}

test('names start from the folder of the image', async () => {
  const directory = temporaryDirectory();
  copyCompanions('backing-chain', directory);
  expect(await opening(copyFixture('backing-chain', directory))).toBe('opened 1');
  copyCompanions('data-file', directory);
  expect(await opening(copyFixture('data-file', directory))).toBe('opened 0');
});

test.each([
  ['json names', 'backing-json-name', 'BACKING_REFUSED'],
  ['a file that is not there', 'backing-missing', 'OPEN_FAILED'],
  ['a data file that is not there', 'data-file', 'OPEN_FAILED'],
])('%s', async (_, fixture, code) => {
  expect(await opening(copyFixture(fixture, temporaryDirectory()))).toBe(code);
});

test('protocols and folders are refused, `file:` is a path', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'disk.qcow2');
  writeFileSync(file, renamed('backing', 'base.raw', 'nbd:1:23'));
  expect(await opening(file)).toBe('BACKING_REFUSED');
  writeFileSync(file, renamed('backing', 'base.raw', 'file:b.d'));
  mkdirSync(path.join(directory, 'b.d'));
  expect(await opening(file)).toBe('NOT_A_FILE');
});

/** What becomes of opening the chain of an image in memory. */
async function openingInMemory(
  bytes: Uint8Array,
  label: string,
  options: { readonly folder?: string } = {},
): Promise<unknown> {
  const image = await openImage(memoryDevice(bytes, label));
  try {
    const disk = await openGuestDisk(image, { gate: fileGate(options) });
    const labels = disk.chain.map((layer) => layer.label);
    await disk.close();
    return labels;
  } catch (error) {
    return error;
  }
}

/** Goes there until the test is over. */
function inFolder(directory: string): void {
  const before = process.cwd();
  process.chdir(directory);
  onTestFinished(() => {
    process.chdir(before);
  });
}

// An image in memory labelled "my disk" opened `base.raw` of whatever folder the program ran in.
describe('an image of which nobody knows the folder', () => {
  test.each(['my disk', './disk.qcow2', '/etc/disk.qcow2'])(
    'opens no relative name, though it is called "%s"',
    async (label) => {
      const directory = temporaryDirectory();
      copyCompanions('backing', directory);
      copyCompanions('data-file', directory);
      inFolder(directory);
      expect(await openingInMemory(loadFixture('backing'), label)).toMatchObject({
        code: 'BACKING_REFUSED',
        message: 'the backing file "base.raw" has a relative name, and nobody knows where from',
        details: { file: label, hint: expect.stringContaining('folder') as string },
      });
      expect(await openingInMemory(loadFixture('data-file'), label)).toMatchObject({
        code: 'DATA_FILE_REFUSED',
        details: { file: label, hint: expect.stringContaining('folder') as string },
      });
    },
  );

  test('opens it from the folder that the gate was given', async () => {
    const directory = temporaryDirectory();
    copyCompanions('backing', directory);
    const folder = directory;
    const labels = await openingInMemory(loadFixture('backing'), 'my disk', { folder });
    expect(labels).toEqual([path.join(directory, 'base.raw')]);
  });

  test('opens a whole name', async () => {
    const directory = temporaryDirectory();
    const base = path.join(directory, 'base.raw');
    writeFileSync(base, new Uint8Array(512));
    const bytes = withBackingName('backing', base);
    expect(await openingInMemory(bytes, 'my disk')).toEqual([base]);
  });

  test('leads to others that have a folder of their own', async () => {
    const directory = temporaryDirectory();
    copyCompanions('backing', directory);
    const middle = copyFixture('backing', directory);
    const bytes = withBackingName('backing-chain', middle);
    const labels = await openingInMemory(bytes, 'my disk', { folder: '/' });
    expect(labels).toEqual([middle, path.join(directory, 'base.raw')]);
  });
});

/** The image with another backing name, which lies where the first cluster has nothing else. */
function withBackingName(fixture: string, name: string): Uint8Array {
  const bytes = Buffer.from(loadFixture(fixture));
  const at = 2048;
  expect(bytes.subarray(at, at + 1024).every((byte) => byte === 0)).toBe(true);
  const length = bytes.write(name, at, 'utf8');
  bytes.writeBigUInt64BE(BigInt(at), 8);
  bytes.writeUInt32BE(length, 16);
  return bytes;
}

test('the folder is where the image was opened, wherever the program went since', async () => {
  const directory = temporaryDirectory();
  copyCompanions('backing', directory);
  copyFixture('backing', directory);
  inFolder(directory);
  const source = await openFile('backing.qcow2');
  const image = await openImage(source);
  process.chdir('/');
  const disk = await openGuestDisk(image, { gate: fileGate() });
  expect(disk.chain.map(({ label }) => label)).toEqual(['base.raw']);
  await disk.close();
  await source.close();
});

// `..` was taken away with the name before it, which may be a link to somewhere else.
test('`..` is a step of the file system', async () => {
  const directory = temporaryDirectory();
  const far = path.join(directory, 'far', 'images');
  mkdirSync(far, { recursive: true });
  writeFileSync(path.join(directory, 'far', 'b.raw'), new Uint8Array(512));
  writeFileSync(path.join(directory, 'b.raw'), new Uint8Array(1024));
  symlinkSync(far, path.join(directory, 'images'));
  const file = path.join(directory, 'images', 'disk.qcow2');
  writeFileSync(file, renamed('backing', 'base.raw', '../b.raw'));
  const source = await openFile(file);
  const disk = await openGuestDisk(await openImage(source), { gate: fileGate() });
  expect(await disk.chain[0]!.sizeBytes()).toBe(512);
  await disk.close();
  await source.close();
});

describe('a chain that leads back', () => {
  async function loop(file: string): Promise<{ code: unknown; opened: number }> {
    const source = await openFile(file);
    const gate = fileGate();
    let opened = 0;
    const counting = {
      ...gate,
      openBacking: (image: Parameters<typeof gate.openBacking>[0]) => {
        opened += 1;
        return gate.openBacking(image);
      },
    };
    const opening = openGuestDisk(await openImage(source), { gate: counting });
    const code: unknown = await opening.then(
      () => 'opened',
      (error: unknown) => (error as { code?: unknown }).code,
    );
    await source.close();
    return { code, opened };
  }

  // The first image was no part of the chain: it was opened once more, and everything below it.
  test('to the first image is noticed at once', async () => {
    const file = path.join(temporaryDirectory(), 'disk.qcow2');
    writeFileSync(file, withBackingName('backing-chain', 'disk.qcow2'));
    expect(await loop(file)).toEqual({ code: 'BACKING_LOOP', opened: 1 });
  });

  test('by other names of the same files', async () => {
    const directory = temporaryDirectory();
    const [file, other] = ['disk.qcow2', 'other.qcow2'].map((name) => path.join(directory, name));
    writeFileSync(file!, withBackingName('backing-chain', 'link.qcow2'));
    symlinkSync('other.qcow2', path.join(directory, 'link.qcow2'));
    writeFileSync(other!, withBackingName('backing-chain', 'hard.qcow2'));
    linkSync(file!, path.join(directory, 'hard.qcow2'));
    expect(await loop(file!)).toEqual({ code: 'BACKING_LOOP', opened: 2 });
  });

  test('is not taken for one where files are copies', async () => {
    const directory = temporaryDirectory();
    copyCompanions('backing', directory);
    const base = copyFixture('backing', directory);
    const file = path.join(directory, 'disk.qcow2');
    writeFileSync(file, withBackingName('backing-chain', 'copy.qcow2'));
    copyFileSync(base, path.join(directory, 'copy.qcow2'));
    expect(await loop(file)).toEqual({ code: 'opened', opened: 2 });
  });
});

test('two names of one file have one identity, and two files have two', async () => {
  const directory = temporaryDirectory();
  const names = ['a', 'b', 'c', 'd'].map((name) => path.join(directory, name));
  writeFileSync(names[0]!, '');
  linkSync(names[0]!, names[1]!);
  symlinkSync(names[0]!, names[2]!);
  writeFileSync(names[3]!, '');
  const sources: BlockSource[] = [];
  for (const name of names) sources.push(await openFile(name));
  const [a, b, c, d] = await Promise.all(sources.map(async (source) => source.identity?.()));
  expect([b, c]).toEqual([a, a]);
  expect(d).not.toBe(a);
  for (const source of sources) await source.close();
});
