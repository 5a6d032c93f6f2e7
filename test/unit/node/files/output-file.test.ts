import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createOutputFile } from '../../../../src/node/files/output-file.js';
import { openFile } from '../../../../src/node/files/open.js';
import { nextDescriptor } from '../../../support/descriptors.js';
import { temporaryDirectory } from '../../../support/directories.js';
import { asNobody } from '../../../support/other-user.js';

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

test('of a folder that is not there its name is told, and none of ours', async () => {
  const folder = join(temporaryDirectory(), 'nosuch');
  await expect(createOutputFile(join(folder, 'e.json'))).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't make a file in ${folder}: there is no such folder`,
  });
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

// It was renamed over: what somebody else had made during a long export was gone.
describe('a file that appears while the new one is written', () => {
  test('keeps the name', async () => {
    const { directory, file } = place();
    const before = nextDescriptor();
    const output = await createOutputFile(file);
    writeFileSync(file, 'theirs');
    await expect(output.commit()).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: `${file} exists already: it was made meanwhile`,
    });
    await output.discard();
    expect(readFileSync(file, 'utf8')).toBe('theirs');
    expect(readdirSync(directory)).toEqual(['out.raw']);
    expect(nextDescriptor()).toBe(before);
  });

  test('keeps it also where it is a link to nothing', async () => {
    const { directory, file } = place();
    const output = await createOutputFile(file);
    symlinkSync('nowhere', file);
    await expect(output.commit()).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    await output.discard();
    expect(readdirSync(directory)).toEqual(['out.raw']);
  });

  test('is not replaced while somebody uses it, though replacing was asked for', async () => {
    const { file } = place();
    const output = await createOutputFile(file, { replace: true });
    writeFileSync(file, 'theirs');
    const reader = await openFile(file);
    await expect(output.commit()).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    await reader.close();
    await output.commit();
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});

describe('a temporary name that leads elsewhere in the end', () => {
  test('gives its file no other name, and is not removed', async () => {
    const { directory, file, partial } = place();
    const output = await createOutputFile(file);
    renameSync(partial, join(directory, 'taken'));
    writeFileSync(partial, 'theirs');
    await expect(output.commit()).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    await output.discard();
    expect(readFileSync(partial, 'utf8')).toBe('theirs');
    expect(existsSync(file)).toBe(false);
  });

  test('that is gone is an error, with nothing left open', async () => {
    const { directory, file, partial } = place();
    const before = nextDescriptor();
    const output = await createOutputFile(file);
    rmSync(partial);
    await expect(output.commit()).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    await output.discard();
    expect(readdirSync(directory)).toEqual([]);
    expect(nextDescriptor()).toBe(before);
  });
});

// The name was given, and an error said that it was not; both files stayed open, and locked.
test.each([{}, { replace: true }])(
  'a folder that nobody may list takes a file as well: %o',
  async (options) => {
    const { directory, file } = place();
    await asNobody(directory, async () => {
      if ('replace' in options) writeFileSync(file, 'old');
      chmodSync(directory, 0o300);
      const before = nextDescriptor();
      const output = await createOutputFile(file, options);
      await output.device.writeBatch([{ at: 0, bytes: NEW }]);
      await output.device.flush();
      await output.commit();
      expect(readFileSync(file, 'utf8')).toBe('new');
      expect(nextDescriptor()).toBe(before);
    });
    expect(readdirSync(directory)).toEqual(['out.raw']);
  },
);

test('the two names that a cut between them leaves are one file', async () => {
  const { directory, file, partial } = place();
  writeFileSync(file, 'whole');
  linkSync(file, partial);
  await expect(createOutputFile(file)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  const output = await createOutputFile(file, { replace: true });
  expect(output.leftoverRemoved).toBe(false);
  expect(readFileSync(file, 'utf8')).toBe('whole');
  await output.commit();
  expect(readdirSync(directory)).toEqual(['out.raw']);
  expect(readFileSync(file, 'utf8')).toBe('');
});

test('the second name of a whole file goes, though somebody uses that', async () => {
  const { directory, file, partial } = place();
  writeFileSync(partial, 'whole');
  const kept = join(directory, 'kept');
  linkSync(partial, kept);
  const reader = await openFile(kept);
  const output = await createOutputFile(file);
  expect(output.leftoverRemoved).toBe(false);
  await output.commit();
  await reader.close();
  expect(readdirSync(directory)).toEqual(['kept', 'out.raw']);
  expect(readFileSync(kept, 'utf8')).toBe('whole');
});

test('what is read is known by the open file, under whatever name it is now', async () => {
  const { directory, file } = place();
  const image = join(directory, 'image');
  writeFileSync(image, 'image');
  const source = await openFile(image, { forceShare: true });
  renameSync(image, file);
  writeFileSync(image, 'another');
  const output = createOutputFile(file, { replace: true, inputs: [source] });
  await expect(output).rejects.toMatchObject({ code: 'OUTPUT_IS_INPUT' });
  await source.close();
});

test('where an output can not be begun nothing stays open, and the older file is free', async () => {
  const { directory, file, partial } = place();
  writeFileSync(file, 'old');
  const before = nextDescriptor();
  mkdirSync(partial);
  const begun = createOutputFile(file, { replace: true });
  await expect(begun).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  expect(nextDescriptor()).toBe(before);
  rmdirSync(partial);
  const first = await createOutputFile(file, { replace: true });
  const between = nextDescriptor();
  for (const options of [{}, { replace: true }, { replace: true, inputs: [file] }]) {
    await expect(createOutputFile(file, options)).rejects.toMatchObject({
      code: expect.stringMatching(/^(OUTPUT_EXISTS|IMAGE_IN_USE|OUTPUT_IS_INPUT)$/) as string,
    });
    expect(nextDescriptor()).toBe(between);
  }
  await first.discard();
  expect(nextDescriptor()).toBe(before);
  expect(readdirSync(directory)).toEqual(['out.raw']);
});
