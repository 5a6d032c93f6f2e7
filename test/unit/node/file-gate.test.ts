import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openGuestDisk, openImage } from '../../../src/index.js';
import { fileGate, openFile } from '../../../src/node.js';
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
