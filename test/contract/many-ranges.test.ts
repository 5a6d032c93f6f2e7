/** `openUrl` where a server sends many ranges at once, well or badly: what is read is right, or an error. */
import { afterEach, describe, expect, test } from 'vitest';
import { openUrl } from '../../src/node/http/open-url.js';
import { rangeServer, type RangeServer, type Served } from '../support/range-server.js';
import { patternBytes, sourceContract } from './device-contract.js';

const servers: RangeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const FILE = patternBytes(40_000_000);
/** So far apart that nothing is read along between them. */
const PLACES = Array.from({ length: 40 }, (_, i) => 500_000 + i * 900_000);

async function opened(file: Partial<Served>) {
  const serving: Served = { bytes: FILE, etag: '"one"', parts: (ranges) => ranges, ...file };
  const server = await rangeServer(serving);
  servers.push(server);
  const source = await openUrl(server.url, { sleep: () => Promise.resolve(), tries: 3 });
  return { server, serving, source };
}

const reads = (length: number) =>
  PLACES.map((at) => ({ at, into: new Uint8Array(length).fill(0xa5) }));

function expectRight(requests: ReturnType<typeof reads>): void {
  for (const { at, into } of requests) {
    expect(Buffer.compare(into, FILE.subarray(at, at + into.length)), `at ${at}`).toBe(0);
  }
}

sourceContract(
  'a server of many ranges at once',
  async (bytes) => (await opened({ bytes })).source,
  { runs: 25 },
);

test('many tables are asked for by few requests, and then by as few', async () => {
  const { server, source } = await opened({});
  for (const round of [1, 2]) {
    const requests = reads(512);
    await source.readBatch(requests);
    expectRight(requests);
    expect(server.ranges.length).toBe(1 + 3 * round);
  }
  const [, first] = server.ranges;
  expect(first!.split(',').length).toBe(16);
  expect(first!.startsWith('bytes=500000-500511,1400000-1400511,')).toBe(true);
});

test('long ranges are asked for one by one', async () => {
  const { server, source } = await opened({});
  const requests = reads(600_000);
  await source.readBatch(requests);
  expectRight(requests);
  expect(server.ranges.length).toBe(1 + PLACES.length);
});

test('one request that reaches behind the end of the file gets zeros there', async () => {
  const { source } = await opened({});
  const end = FILE.length;
  const requests = [end - 30_000_000, end - 100, end + 10].map((at) => ({
    at,
    into: new Uint8Array(200).fill(0xa5),
  }));
  await source.readBatch(requests);
  for (const { at, into } of requests) {
    const expected = new Uint8Array(200);
    expected.set(FILE.subarray(Math.min(at, end), Math.min(at + 200, end)));
    expect(into).toEqual(expected);
  }
});

describe('a server that', () => {
  test.each<[string, Partial<Served>]>([
    ['sends none of them', { parts: () => [] }],
    ['sends them in another order', { parts: (ranges) => [...ranges].reverse() }],
    ['leaves the last ones out', { parts: (ranges) => ranges.slice(0, 3) }],
    ['sends one of them twice', { parts: (ranges) => [ranges[0]!, ...ranges] }],
    ['merges them', { parts: (ranges) => [{ first: ranges[0]!.first, end: ranges.at(-1)!.end }] }],
    [
      'sends less of each',
      { parts: (ranges) => ranges.map((one) => ({ ...one, end: one.end - 1 })) },
    ],
    [
      'sends others',
      { parts: (ranges) => ranges.map(({ first, end }) => ({ first: first + 1, end: end + 1 })) },
    ],
    [
      'tells of another size',
      { parts: (ranges) => ranges.map((one) => ({ ...one, sizeBytes: 1 })) },
    ],
  ])('%s: the rest is asked for alone', async (_, faults) => {
    const { source } = await opened(faults);
    const requests = reads(512);
    await source.readBatch(requests);
    expectRight(requests);
  });

  test.each<[string, Partial<Served>]>([
    ['sends the whole file instead', {}],
    ['sends the first of them only', { sendsFirst: true }],
  ])('%s is asked for many once', async (_, faults) => {
    const { server, serving, source } = await opened(faults);
    delete serving.parts;
    for (const round of [1, 2]) {
      const requests = reads(512);
      await source.readBatch(requests);
      expectRight(requests);
      expect(server.ranges.filter((range) => range!.includes(',')).length).toBe(1);
      expect(server.ranges.length).toBe(2 + PLACES.length * round);
    }
  });

  test.each([0, 1, 50, 700, 2000, 5000])(
    'breaks off after %i bytes: the rest comes',
    async (sentBytes) => {
      const { serving, source } = await opened({});
      Object.assign(serving, { breaksOff: true, sentBytes, failures: 2 });
      const requests = reads(512);
      await source.readBatch(requests);
      expectRight(requests);
    },
  );

  test('is too busy for a while is waited for', async () => {
    const { serving, source } = await opened({});
    Object.assign(serving, { status: 503, failures: 2 });
    const requests = reads(512);
    await source.readBatch(requests);
    expectRight(requests);
  });

  test.each([true, false])(
    'has another version of the file: it is told (If-Match heeded: %s)',
    async (heedsIfMatch) => {
      const { serving, source } = await opened({ heedsIfMatch });
      serving.etag = '"two"';
      await expect(source.readBatch(reads(512))).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
    },
  );

  test('has another size of the file under the same tag: it is told', async () => {
    const { serving, source } = await opened({});
    serving.bytes = FILE.subarray(0, FILE.length - 1);
    await expect(source.readBatch(reads(512))).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
  });
});
