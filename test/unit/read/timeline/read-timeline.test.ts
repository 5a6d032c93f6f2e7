import { expect, test } from 'vitest';
import { openForReading } from '../../../../src/image/open-for-reading.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { readTimeline } from '../../../../src/read/timeline/read-timeline.js';
import { loadFixture } from '../../../support/fixture.js';

test('all dates come in order, those of the file among them', async () => {
  const image = await openForReading(memoryDevice(loadFixture('five-snapshots')));
  const dates = image.snapshots.map(({ date }) => date.seconds).sort((a, b) => a - b);
  const modified = { seconds: dates[2]!, nanoseconds: 999_999_999 };
  const { moments, ancestryUnknown } = await readTimeline(image, { hostDates: { modified } });
  const ofSnapshots = moments.filter(({ snapshot }) => snapshot !== undefined);
  expect(ofSnapshots.map(({ date }) => date.seconds)).toEqual(dates);
  const place = moments.findIndex(({ snapshot }) => snapshot === undefined);
  expect(moments[place]!.date).toEqual(modified);
  expect(moments[place + 1]!.date.seconds).toBeGreaterThan(modified.seconds);
  expect(ancestryUnknown).toBe(undefined);
});

test('of damaged tables dates are told, and that ancestry is not known', async () => {
  const bytes = loadFixture('five-snapshots');
  const whole = await openForReading(memoryDevice(bytes));
  // The first entry of a snapshot's L1 table leads behind the end of the file.
  new DataView(bytes.buffer).setBigUint64(whole.snapshots[0]!.l1.at, 1n << 50n);
  const image = await openForReading(memoryDevice(bytes));
  const { moments, ancestryUnknown } = await readTimeline(image);
  expect(moments.length).toBe(5);
  expect(ancestryUnknown?.code).toBe('IMAGE_DAMAGED');
});
