import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createOutputFile } from '../../../src/io/node/output-file.js';
import { openFile } from '../../../src/io/node/open.js';
import { temporaryDirectory } from '../../support/directories.js';

const NEW = new TextEncoder().encode('new');

function place(): { directory: string; file: string; partial: string } {
  const directory = temporaryDirectory();
  return {
    directory,
    file: join(directory, 'out.raw'),
    partial: join(directory, '.out.raw.qsnap-partial'),
  };
}

test('the file gets its name when it is complete, and not before', async () => {
  const { directory, file, partial } = place();
  const output = await createOutputFile(file, { mode: 0o640 });
  await output.device.writeBatch([{ at: 0, bytes: NEW }]);
  expect(readdirSync(directory)).toEqual(['.out.raw.qsnap-partial']);
  await output.commit();
  expect(readdirSync(directory)).toEqual(['out.raw']);
  expect(readFileSync(file, 'utf8')).toBe('new');
  // The umask may take more of it.
  expect(statSync(file).mode & 0o777 & ~0o640).toBe(0);
  await output.discard();
  expect(existsSync(file)).toBe(true);
  expect(existsSync(partial)).toBe(false);
});

test('what is discarded leaves nothing', async () => {
  const { directory, file } = place();
  const output = await createOutputFile(file);
  await output.device.writeBatch([{ at: 0, bytes: NEW }]);
  await output.discard();
  await output.discard();
  expect(readdirSync(directory)).toEqual([]);
});

describe('a file of that name', () => {
  test('is not replaced unless that is asked for', async () => {
    const { directory, file } = place();
    writeFileSync(file, 'old');
    await expect(createOutputFile(file)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(readdirSync(directory)).toEqual(['out.raw']);
    expect(readFileSync(file, 'utf8')).toBe('old');
  });

  test('is whole until the new one is, and stays when that is discarded', async () => {
    const { file } = place();
    writeFileSync(file, 'old');
    const first = await createOutputFile(file, { replace: true });
    expect(readFileSync(file, 'utf8')).toBe('old');
    await first.discard();
    expect(readFileSync(file, 'utf8')).toBe('old');
    const second = await createOutputFile(file, { replace: true });
    await second.device.writeBatch([{ at: 0, bytes: NEW }]);
    await second.commit();
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  test('is not replaced while somebody reads it', async () => {
    const { file } = place();
    writeFileSync(file, 'old');
    const reader = await openFile(file);
    const busy = createOutputFile(file, { replace: true });
    await expect(busy).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    await reader.close();
  });

  test('behind a link is replaced where it is', async () => {
    const { directory, file } = place();
    mkdirSync(join(directory, 'far'));
    const real = join(directory, 'far', 'real.raw');
    writeFileSync(real, 'old');
    symlinkSync(real, file);
    const output = await createOutputFile(file, { replace: true });
    await output.device.writeBatch([{ at: 0, bytes: NEW }]);
    await output.commit();
    expect(readFileSync(real, 'utf8')).toBe('new');
    expect(readdirSync(directory)).toEqual(['far', 'out.raw']);
  });

  test('that is a link to nothing is no place for a file', async () => {
    const { file } = place();
    symlinkSync('nowhere', file);
    const output = createOutputFile(file, { replace: true });
    await expect(output).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  test.each(['/dev/null', '/tmp'])('that is no file is refused: %s', async (file) => {
    const output = createOutputFile(file, { replace: true });
    await expect(output).rejects.toMatchObject({ code: 'NOT_A_FILE' });
  });
});

test('what is read is not written over, by whatever name', async () => {
  const { directory, file } = place();
  const image = join(directory, 'image');
  writeFileSync(image, 'image');
  symlinkSync(image, file);
  const output = createOutputFile(file, { replace: true, inputs: ['nowhere', image] });
  await expect(output).rejects.toMatchObject({ code: 'OUTPUT_IS_INPUT' });
});

describe('a half-written output of the same name', () => {
  test('is replaced, and the caller hears of it', async () => {
    const { file, partial } = place();
    writeFileSync(partial, 'half');
    const output = await createOutputFile(file);
    expect(output.leftoverRemoved).toBe(true);
    expect(readFileSync(partial, 'utf8')).toBe('');
    await output.discard();
  });

  test('is left alone while it is being written', async () => {
    const { directory, file } = place();
    const first = await createOutputFile(file);
    await expect(createOutputFile(file)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    await first.commit();
    expect(readdirSync(directory)).toEqual(['out.raw']);
  });
});

test('a folder that is not there', async () => {
  const { directory } = place();
  const output = createOutputFile(join(directory, 'no', 'out.raw'));
  await expect(output).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    details: { systemCode: 'ENOENT' },
  });
});
