/** What header and tables leave of their clusters, where images are not as QEMU makes them. */
import { describe, expect, test } from 'vitest';
import { planScrub } from '../../../../src/edit/scrub/plan-scrub.js';
import { scrubImage } from '../../../../src/edit/scrub/scrub-image.js';
import { openImage } from '../../../../src/image/open.js';
import type { ByteRange } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { checkPlain } from '../../../support/crash-judge.js';
import { buildImage, guestWrite, type PlainDisk } from '../../../support/image-builder.js';
import {
  blockAt,
  layoutOf,
  putRefcountAt,
  putU32,
  putU64,
} from '../../../support/image-builder-layout.js';

const CLUSTER = 4096;
const END = 104;

/** An image with this behind its header of 104 bytes, and every other byte of the cluster not zero. */
function withHeaderArea(
  area: Uint8Array,
  name?: { readonly at: number; readonly text: string },
): Uint8Array {
  const bytes = buildImage();
  bytes.fill(0xee, END, CLUSTER);
  bytes.set(area, END);
  if (name === undefined) return bytes;
  putU64(bytes, 8, BigInt(name.at));
  putU32(bytes, 16, name.text.length);
  bytes.set(new TextEncoder().encode(name.text), name.at);
  return bytes;
}

/** A header extension of a type that nobody knows. */
function extension(length: number): Uint8Array {
  const bytes = new Uint8Array(8 + Math.ceil(length / 8) * 8);
  putU32(bytes, 0, 0x12345678);
  putU32(bytes, 4, length);
  bytes.fill(0x77, 8, 8 + length);
  return bytes;
}

const END_MARKER = new Uint8Array(8);
const joined = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

async function headerSlackOf(bytes: Uint8Array): Promise<readonly ByteRange[]> {
  const { slack } = await planScrub(await openImage(memoryDevice(bytes)));
  return slack.filter(({ at }) => at < CLUSTER);
}

/** Scrubs, and expects zeros in these ranges alone. */
async function expectScrubbed(bytes: Uint8Array, ranges: readonly ByteRange[]): Promise<void> {
  const device = memoryDevice(bytes);
  await scrubImage(device, { verify: true });
  const expected = bytes.slice(0, CLUSTER);
  for (const { at, length } of ranges) expected.fill(0, at, at + length);
  const after = device.snapshotBytes();
  expect(Buffer.compare(after.subarray(0, CLUSTER), expected)).toBe(0);
  expect(checkPlain(after).corruptions).toEqual([]);
}

const between = (at: number, end: number): ByteRange => ({ at, length: end - at });
const name = (at: number): { at: number; text: string } => ({ at, text: 'base' });
const longMarker = new Uint8Array(8);
putU32(longMarker, 4, 40);

const AREAS: Readonly<Record<string, readonly [Uint8Array, readonly ByteRange[]]>> = {
  'an end marker alone': [withHeaderArea(END_MARKER), [between(112, CLUSTER)]],
  'an unknown extension whose length is no multiple of 8': [
    withHeaderArea(joined(extension(13), END_MARKER)),
    [between(END + 24 + 8, CLUSTER)],
  ],
  'an extension to the end of the cluster, and no end marker': [
    withHeaderArea(extension(CLUSTER - END - 8)),
    [],
  ],
  'an extension to 8 bytes before the end, and the end marker': [
    withHeaderArea(joined(extension(CLUSTER - END - 16), END_MARKER)),
    [],
  ],
  'a name right behind the end marker': [
    withHeaderArea(END_MARKER, name(112)),
    [between(116, CLUSTER)],
  ],
  'a name without end marker before it': [
    withHeaderArea(extension(8), name(END + 16)),
    [between(END + 20, CLUSTER)],
  ],
  'a name far behind the end marker: what lies between is no name': [
    withHeaderArea(END_MARKER, name(1000)),
    [between(112, 1000), between(1004, CLUSTER)],
  ],
  'a name that ends with the cluster': [
    withHeaderArea(END_MARKER, name(CLUSTER - 4)),
    [between(112, CLUSTER - 4)],
  ],
  'an end marker that claims a length': [withHeaderArea(longMarker), [between(112, CLUSTER)]],
};

describe('what the header leaves', () => {
  test.each(Object.entries(AREAS))('%s', async (_, [bytes, ranges]) => {
    expect(await headerSlackOf(bytes)).toEqual(ranges);
    await expectScrubbed(bytes, ranges);
  });
});

test('a cluster that its refcount says something else lies in keeps its slack', async () => {
  const disk: PlainDisk = { bytes: withHeaderArea(END_MARKER) };
  guestWrite(disk, 0, 0x55);
  const { bytes } = disk;
  const layout = layoutOf(bytes);
  const l1 = layout.l1At / CLUSTER;
  bytes.fill(0xee, layout.l1At + layout.l1Entries * 8, layout.l1At + CLUSTER);
  putRefcountAt(bytes, blockAt(bytes, layout, l1), layout.refcountBits, l1, 2n);
  const device = memoryDevice(bytes);
  const report = await scrubImage(device);
  expect(report.slackBytes).toBe(CLUSTER - 112);
  expect(report.facts.leakedClusters).toBe(1);
  const after = device.snapshotBytes();
  expect(Buffer.compare(after.subarray(layout.l1At), bytes.subarray(layout.l1At))).toBe(0);
  expect(checkPlain(after)).toEqual(checkPlain(bytes));
});

test('a file that ends within the slack of its last table gets no longer', async () => {
  const bytes = buildImage();
  const { l1At } = layoutOf(bytes);
  const cut = bytes.slice(0, l1At + 700).fill(0xee, l1At + 600);
  const device = memoryDevice(cut);
  const { slackBytes } = await scrubImage(device);
  // What is counted are sectors.
  expect(slackBytes).toBe(700 - 512);
  const after = device.snapshotBytes();
  expect(Buffer.compare(after, bytes.subarray(0, l1At + 700))).toBe(0);
  expect(checkPlain(after).corruptions).toEqual([]);
});
