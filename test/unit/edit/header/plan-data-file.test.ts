/** What a header says of an external data file, changed by one write. */
import { expect, test } from 'vitest';
import { planDataFile, type NewDataFile } from '../../../../src/edit/header/plan-data-file.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { checkImage, dataFileName, openImage } from '../../../../src/index.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { loadFixture } from '../../../support/fixture.js';

const KEEP: NewDataFile = { name: undefined, raw: undefined };

async function after(fixture: string, wanted: NewDataFile) {
  const device = memoryDevice(loadFixture(fixture));
  const plan = await planDataFile(await openImage(device), wanted);
  if (plan === undefined) return undefined;
  await executePlan(plan);
  expect((await checkImage(device)).findings).toEqual([]);
  const image = await openImage(device);
  return { name: dataFileName(image), raw: image.header.rawExternalData };
}

test('another name, and a disk that need not stay raw', async () => {
  const name = Buffer.from('other/guest.data');
  expect(await after('data-file', { ...KEEP, name })).toEqual({
    name: 'other/guest.data',
    raw: false,
  });
  expect(await after('data-file-raw', { ...KEEP, name })).toMatchObject({ raw: true });
  expect(await after('data-file-raw', { name, raw: false })).toMatchObject({ raw: false });
  expect(await after('data-file-raw', { ...KEEP, raw: false })).toMatchObject({ raw: false });
});

test('what is so already is nothing to do', async () => {
  expect(await after('data-file', { ...KEEP, raw: false })).toBeUndefined();
  const image = await openImage(memoryDevice(loadFixture('data-file')));
  const name = Buffer.from(dataFileName(image)!);
  expect(await planDataFile(image, { ...KEEP, name })).toBeUndefined();
});

test('no name, one too long, and no data file are refused', async () => {
  const code = (found: string) => expect.objectContaining({ code: found }) as unknown;
  await expect(after('data-file', { ...KEEP, name: Buffer.alloc(0) })).rejects.toEqual(
    code('NAME_INVALID'),
  );
  await expect(after('data-file', { ...KEEP, name: Buffer.alloc(600, 'x') })).rejects.toEqual(
    code('LIMIT_EXCEEDED'),
  );
  await expect(after('five-snapshots', { ...KEEP, raw: false })).rejects.toEqual(
    code('EXTERNAL_DATA_FILE'),
  );
});
