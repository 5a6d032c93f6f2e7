import { expect, test } from 'vitest';
import { openImage } from '../../../src/index.js';
import { visitBitmapEntries } from '../../../src/refs/bitmap-tables.js';
import { loadFixture } from '../../support/fixture.js';
import { recordingDevice } from '../../support/recording-device.js';

/** Where the entries of tables lie that are not 0, and how many bytes were read for them. */
async function entriesOf(claimed?: number): Promise<{
  readonly places: readonly number[];
  readonly readBytes: number;
  readonly tables: number;
}> {
  const device = recordingDevice(loadFixture('bitmaps'));
  const image = await openImage(device);
  const bitmaps = image.bitmaps.map((bitmap) => {
    return { ...bitmap, table: { ...bitmap.table, entries: claimed ?? bitmap.table.entries } };
  });
  const places: number[] = [];
  const from = device.log.length;
  await visitBitmapEntries(image, bitmaps, (_high, _low, at) => places.push(at));
  const reads = device.log.slice(from).flatMap((entry) => {
    return entry.kind === 'read' ? [entry.length] : [];
  });
  return {
    places,
    readBytes: reads.reduce((sum, length) => sum + length, 0),
    tables: bitmaps.length,
  };
}

test('every entry that is not 0 is visited', async () => {
  const { places } = await entriesOf();
  expect(places.length).toBeGreaterThan(0);
});

test('a table that claims 256 MiB is read as far as the file goes', async () => {
  const { places } = await entriesOf();
  const claimed = await entriesOf(2 ** 25);
  expect(claimed.readBytes).toBeLessThanOrEqual(claimed.tables * loadFixture('bitmaps').length);
  expect(claimed.places).toEqual(expect.arrayContaining([...places]));
});
