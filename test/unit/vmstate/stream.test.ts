import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { nodeDecompressor } from '../../../src/node/decompressor.js';
import { memoryPages } from '../../../src/read/vmstate/memory-pages.js';
import { readDevice, surveyVmState, type VmStateSurvey } from '../../../src/read/vmstate/survey.js';
import { StreamParser } from '../../../src/vmstate/stream-parser.js';
import {
  begin,
  blockList,
  bytePage,
  configuration,
  dataPage,
  device,
  END_OF_RAM,
  HEAD,
  mappedStream,
  named,
  PAGE,
  pageOf,
  packedPage,
  part,
  smallStream,
  sourceOf,
  u32,
  u64,
} from '../../support/vm-stream.js';
import { cpuMilliseconds } from '../../support/cpu-time.js';

const survey = (bytes: Uint8Array): Promise<VmStateSurvey> => surveyVmState(sourceOf(bytes));

/** Blocks by their names, as memory has them. */
async function memoryOf(bytes: Uint8Array): Promise<Record<string, Uint8Array>> {
  const source = sourceOf(bytes);
  const blocks: Record<string, Uint8Array> = {};
  for (const { name, bytes: length } of (await surveyVmState(source)).blocks) {
    blocks[name] = new Uint8Array(length);
  }
  for await (const runs of memoryPages(source, () => true, nodeDecompressor())) {
    for (const { block, offset, bytes: some } of runs) blocks[block.name]!.set(some, offset);
  }
  return blocks;
}

test('a stream is parsed to its end, with what lies behind it left alone', async () => {
  const bytes = smallStream();
  const longer = new Uint8Array(bytes.length + 3 * PAGE).fill(0x5b);
  longer.set(bytes);
  const found = await survey(longer);
  expect(found).toMatchObject({
    configuration: { machine: 'pc-i440fx-7.2', capabilities: [] },
    blocks: [
      { name: 'pc.ram', bytes: 4 * PAGE },
      { name: 'rom', bytes: PAGE },
    ],
    pages: [
      { data: 1, byte: 2, compressed: 1 },
      { data: 1, byte: 0, compressed: 0 },
    ],
    streamBytes: bytes.length,
    parsedTo: bytes.length,
    pageBytes: PAGE,
    problems: [],
  });
  expect(found.sections.map(({ kind, name, instance }) => [kind, name, instance])).toEqual([
    ['start', 'ram', 0],
    ['part', 'ram', 0],
    ['part', 'ram', 0],
    ['last', 'ram', 0],
    ['full', 'timer', 0],
    ['full', 'cpu', 1],
  ]);
});

test('pages of each kind become the memory that was saved', async () => {
  const { 'pc.ram': ram, rom } = await memoryOf(smallStream());
  const expected = new Uint8Array(4 * PAGE);
  expected.set(pageOf(1));
  expected.fill(0x5a, PAGE, 2 * PAGE);
  expected.set(pageOf(3), 2 * PAGE);
  expect(ram).toEqual(expected);
  expect(rom).toEqual(pageOf(5));
});

test('fields of a device lie where the description says', async () => {
  const source = sourceOf(smallStream());
  const timer = await readDevice(source, await surveyVmState(source), 'timer');
  expect(timer?.numberOf('ticks')).toBe(77n);
  expect([0, 1, 2, 3].map((i) => timer?.numberOf('list', i))).toEqual([1n, 2n, 3n, undefined]);
  expect(timer?.numberOf('timer/more/x')).toBe(9n);
  expect(timer?.bytesOf('nothing')).toBeUndefined();
});

test('windows of any length make the same of a stream', () => {
  const bytes = smallStream();
  const parsed = (step: number): unknown => {
    const pages: unknown[] = [];
    const parser = new StreamParser((block, ...page) => pages.push([block.name, ...page]));
    for (let end = step; !parser.isDone && end < bytes.length + step; end += step) {
      const base = parser.position;
      parser.parse({ bytes: bytes.subarray(base, Math.min(end, bytes.length)), base });
    }
    return [pages, parser.sections, parser.position, parser.problem];
  };
  const whole = parsed(bytes.length);
  expect(whole).toMatchObject([{ length: 5 }, { length: 4 }, expect.any(Number), undefined]);
  for (const step of [1, 2, 3, 7, 64, 4095, 4097]) expect(parsed(step)).toEqual(whole);
});

test('cut off at any byte, all that is there is told, and that something is missing', async () => {
  const bytes = smallStream();
  let parsedBefore = 0;
  for (let length = 0; length < bytes.length; length += length > 4300 && length < 8200 ? 97 : 1) {
    const found = await survey(bytes.slice(0, length));
    const says = `${length} bytes`;
    expect(found.parsedTo, says).toBeLessThanOrEqual(length);
    expect(found.parsedTo, says).toBeGreaterThanOrEqual(parsedBefore);
    parsedBefore = found.parsedTo;
    const isWholeButDescription = found.streamBytes !== undefined;
    expect(isWholeButDescription || found.problems.length > 0, says).toBe(true);
  }
  expect(parsedBefore).toBeGreaterThan(bytes.length - 400);
});

test('without a description, sections of devices end where their footers are', async () => {
  const bytes = smallStream();
  const { descriptionAt, sections } = await survey(bytes);
  const found = await survey(bytes.slice(0, descriptionAt));
  expect(found.sections).toEqual(sections);
  expect(found).toMatchObject({ devices: undefined, streamBytes: descriptionAt, problems: [] });
});

test('of mapped-ram only pages with a bit count, and the end lies far behind them', async () => {
  const { bytes, end } = mappedStream();
  const found = await survey(bytes);
  expect(found).toMatchObject({
    configuration: { machine: 'pc-i440fx-11.1', capabilities: ['mapped-ram'] },
    pages: [{ data: 2, byte: 0, compressed: 0 }],
    streamBytes: end,
    problems: [],
  });
  const expected = new Uint8Array(4 * PAGE);
  expected.set(pageOf(1), PAGE);
  expected.set(pageOf(2), 2 * PAGE);
  expect(await memoryOf(bytes)).toEqual({ 'pc.ram': expected });
});

test('a section of another kind between those of RAM is passed over', async () => {
  const bytes = Uint8Array.from([
    ...HEAD,
    ...begin(2, 'ram', 4, blockList([['pc.ram', PAGE]])),
    ...begin(3, 'dirty-bitmap', 1, [0x7e, 1, 2, 0x7e]),
    ...part(2, 2, [...dataPage(0, 1, 'pc.ram'), ...END_OF_RAM]),
    ...part(3, 3, [1]),
    ...part(3, 2, END_OF_RAM),
    0x00,
  ]);
  const found = await survey(bytes);
  expect(found).toMatchObject({ streamBytes: bytes.length, problems: [] });
  expect(found.sections.map(({ name, dataBytes }) => [name, dataBytes])).toContainEqual([
    'dirty-bitmap',
    4,
  ]);
});

const ram = (...data: number[]): Uint8Array =>
  Uint8Array.from([...HEAD, 0x01, ...u32(2), ...named('ram'), ...u32(0), ...u32(4), ...data]);
const listed = blockList([['pc.ram', PAGE]]);

test.each([
  ['no stream', Uint8Array.from(u64(0)), 'there is no VM state of version 3'],
  [
    'RAM past any limit',
    ram(...u64(2 ** 52 + 4)),
    'the list of RAM blocks claims 0x10000000000000 bytes',
  ],
  [
    'a block longer than all',
    ram(...u64(PAGE + 4), ...named('a'), ...u64(2 * PAGE)),
    'a RAM block claims 0x2000 bytes of 0x1000',
  ],
  [
    'a block of nothing',
    ram(...u64(PAGE + 4), ...named('a'), ...u64(0)),
    'a RAM block claims 0x0 bytes of 0x1000',
  ],
  [
    'a page of no block',
    ram(...listed.slice(0, -8), ...u64(8), ...named('b'), ...pageOf(0)),
    'a page at 0x0 is of no RAM block',
  ],
  [
    'a page behind its block',
    ram(...listed.slice(0, -8), ...dataPage(PAGE, 0, 'pc.ram')),
    'a page at 0x1000 is of no RAM block',
  ],
  [
    'the same block before any',
    ram(...listed.slice(0, -8), ...bytePage(0, 0)),
    'a page at 0x0 is of no RAM block',
  ],
  [
    'an endless packed page',
    ram(...listed.slice(0, -8), ...u64(0x100), ...named('pc.ram'), ...u32(2 ** 31)),
    'a compressed page claims 0x80000000 bytes',
  ],
  ['unknown flags', ram(...u64(0x40)), 'a record of RAM has the flags 0x40'],
  [
    'a machine with a long name',
    Uint8Array.from([...HEAD, 0x07, ...u32(2 ** 31)]),
    "the machine's name claims 0x80000000 bytes",
  ],
  [
    'a part of nothing',
    Uint8Array.from([...HEAD, ...part(2, 5, [])]),
    'a part of section 5 comes before its beginning',
  ],
  [
    'many capabilities',
    Uint8Array.from([
      ...HEAD,
      ...configuration(
        'm',
        Array.from({ length: 65 }, () => 'c'),
      ),
    ]),
    'the configuration claims 65 capabilities',
  ],
  ['another type', Uint8Array.from([...HEAD, 0x33, 0]), 'no section has the type 0x33'],
  [
    'a device without an end',
    Uint8Array.from([...HEAD, ...device(1, 'x', 0, []).slice(0, -5)]),
    'nobody can tell where the section of a device ends',
  ],
])('%s is told', async (_, bytes, problem) => {
  const { problems } = await survey(bytes);
  expect(problems.map(({ text }) => text)).toContain(problem);
});

test('a description that can not be right is told, and its devices are found without it', async () => {
  const bytes = smallStream();
  const json = Buffer.from(bytes).indexOf('"size":8');
  bytes[json + 7] = 0x39;
  const wrongLength = await survey(bytes);
  expect(wrongLength.problems).toMatchObject([
    { text: 'the section of a device is not as long as described' },
  ]);
  expect(wrongLength.streamBytes).toBe(bytes.length);
  bytes[json + 7] = 0x2d;
  const noJson = await survey(bytes);
  expect(noJson.problems).toMatchObject([
    { text: 'the description of the VM state is wrong at its beginning' },
  ]);
  expect(noJson.sections.length).toBe(6);
});

test('a compressed page that can not be unpacked is an error of its own', async () => {
  const packed = packedPage(0, 1).slice(12);
  const head = [...u64(0x100), ...named('pc.ram'), ...u32(packed.length)];
  const page = [...head, ...packed.slice(0, 2), ...packed.slice(2).map(() => 0xff)];
  const bytes = ram(...listed, ...[0x7e, ...u32(2)], ...part(2, 2, [...page, ...END_OF_RAM]), 0);
  expect((await survey(bytes)).pages).toEqual([{ data: 0, byte: 0, compressed: 1 }]);
  await expect(memoryOf(bytes)).rejects.toMatchObject({ code: 'VM_STATE_INVALID' });
  const unread = memoryPages(sourceOf(bytes), () => true)[Symbol.asyncIterator]();
  await unread.next();
  await expect(unread.next()).rejects.toMatchObject({ code: 'UNSUPPORTED_COMPRESSION' });
});

test('whatever is written over a stream, it is read in bounded time, and fails as all else does', async () => {
  const streams = [smallStream(), mappedStream().bytes];
  const place = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), value: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1),
      fc.array(place, { minLength: 1, maxLength: 6 }),
      async (which, places) => {
        const bytes = streams[which]!.slice();
        for (const { at, value } of places) {
          // Half of the places are in front of the pages, where the claims are.
          const end = at < 0.5 ? 160 : bytes.length;
          bytes[Math.min(bytes.length - 1, Math.floor(2 * (at % 0.5) * end))] = value;
        }
        const begun = cpuMilliseconds();
        try {
          const source = sourceOf(bytes);
          const found = await surveyVmState(source);
          expect(found.parsedTo).toBeLessThanOrEqual(bytes.length);
          for await (const runs of memoryPages(source, () => true, nodeDecompressor())) {
            for (const { block, offset, bytes: some } of runs) {
              expect(offset + some.length).toBeLessThanOrEqual(block.bytes);
            }
          }
        } catch (error) {
          if (!isQsnapError(error)) throw error;
        }
        expect(cpuMilliseconds() - begun).toBeLessThan(5000);
      },
    ),
    { numRuns: 300 },
  );
});
