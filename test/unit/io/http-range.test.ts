import { afterEach, expect, test, vi } from 'vitest';
import { httpSource } from '../../../src/io/http-range.js';
import type { Fetch } from '../../../src/io/http-range.js';
import { rangeServer } from '../../support/range-server.js';
import type { RangeServer, Served } from '../../support/range-server.js';

const servers: RangeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(served: Served): Promise<RangeServer> {
  const server = await rangeServer(served);
  servers.push(server);
  return server;
}

const DISK = new Uint8Array(3_000_000).map((_, i) => i % 251);
const read = (at: number, length: number) => ({ at, into: new Uint8Array(length) });

test('opening asks for the beginning, which is not asked for again', async () => {
  const server = await serve({ bytes: DISK });
  const source = await httpSource(server.url);
  expect(await source.sizeBytes()).toBe(DISK.length);
  const requests = [read(0, 104), read(65_000, 536)];
  await source.readBatch(requests);
  expect(requests[1]!.into).toEqual(DISK.slice(65_000, 65_536));
  expect(server.ranges).toEqual(['bytes=0-65535']);
  expect(server.sentBytes()).toBe(65_536);
});

test.each([0, 1, 5000, 65_536])('a file of %i bytes is read in one request', async (length) => {
  const server = await serve({ bytes: DISK.slice(0, length), etag: '"a"' });
  const source = await httpSource(server.url);
  const requests = [read(0, 100_000), read(length, 10), read(200_000, 10), read(3, 0)];
  for (const { into } of requests) into.fill(1);
  await source.readBatch(requests);
  const expected = new Uint8Array(100_000);
  expected.set(DISK.subarray(0, length));
  expect(requests[0]!.into).toEqual(expected);
  expect(requests[1]!.into).toEqual(new Uint8Array(10));
  expect(requests[2]!.into).toEqual(new Uint8Array(10));
  expect(server.ranges).toEqual(['bytes=0-65535']);
});

test('an opening that brings less than it was asked for is enough', async () => {
  const served: Served = { bytes: DISK, breaksOff: true };
  const server = await serve(served);
  const source = await httpSource(server.url);
  delete served.breaksOff;
  const request = read(0, 1000);
  await source.readBatch([request]);
  expect(request.into).toEqual(DISK.slice(0, 1000));
  expect(server.ranges).toEqual(['bytes=0-65535', 'bytes=0-999']);
});

test('near requests share one range, far ones have their own, and the end is not passed', async () => {
  const server = await serve({ bytes: DISK });
  const source = await httpSource(server.url);
  const requests = [
    read(1_000_000, 10),
    read(70_000, 10),
    read(170_000, 10),
    read(0, 104),
    read(2_999_990, 100),
    read(9_000_000, 10),
  ];
  await source.readBatch(requests);
  expect(server.ranges.slice(1).sort()).toEqual([
    'bytes=1000000-1000009',
    'bytes=2999990-2999999',
    'bytes=70000-170009',
  ]);
  expect(requests[2]!.into).toEqual(DISK.slice(170_000, 170_010));
});

test('a server without ranges is refused, and the file is not downloaded', async () => {
  let cancelled = false;
  const whole: Fetch = () =>
    Promise.resolve({
      status: 200,
      headers: { get: () => null },
      body: {
        getReader: () => {
          throw new Error('the body must not be read');
        },
        cancel: () => {
          cancelled = true;
          return Promise.resolve();
        },
      },
    });
  const opening = httpSource('http://127.0.0.1:9/x', { fetch: whole });
  await expect(opening).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  await expect(opening).rejects.toThrow('does not serve parts of files');
  expect(cancelled).toBe(true);

  const server = await serve({ bytes: DISK, ignoresRanges: true });
  await expect(httpSource(server.url)).rejects.toMatchObject({ code: 'OPEN_FAILED' });
});

test('a range without its place is refused, with what servers of other origins have to do', async () => {
  const response = { status: 206, headers: { get: () => null }, body: null };
  const opening = httpSource('https://example.org/disk', {
    fetch: () => Promise.resolve(response),
  });
  await expect(opening).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: expect.stringMatching(
      /: the answer has no Content-Range that can be read$/,
    ) as unknown,
    details: { hint: expect.stringContaining('Access-Control-Expose-Headers') as unknown },
  });
});

test('a missing file and a dead server are open errors that say what happened', async () => {
  const server = await serve({ bytes: DISK, status: 404 });
  await expect(httpSource(server.url)).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't open ${server.url}: the server answers with status 404`,
  });
  await server.close();
  const dead = httpSource(server.url);
  await expect(dead).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  await expect(dead).rejects.toThrow('ECONNREFUSED');
});

test.each([
  ['the strong ETag', { etag: '"a"' }, { etag: '"b"' }],
  ['the date', { lastModified: 'Mon, 01 Jan 2024' }, { lastModified: 'Tue, 02 Jan 2024' }],
  ['the date beside a weak ETag', { etag: 'W/"a"', lastModified: '1' }, { lastModified: '2' }],
  ['the size', {}, { bytes: DISK.slice(0, 2_000_000) }],
  ['the size, to nothing', {}, { bytes: new Uint8Array(0) }],
])('a change of %s between requests is noticed', async (_, before, after) => {
  const served: Served = { bytes: DISK, ...before };
  const server = await serve(served);
  const source = await httpSource(server.url);
  await source.readBatch([read(100_000, 10)]);
  Object.assign(served, after);
  await expect(source.readBatch([read(100_000, 10)])).rejects.toMatchObject({
    code: 'IMAGE_CHANGED',
  });
});

test('a weak ETag alone proves no change', async () => {
  const served: Served = { bytes: DISK, etag: 'W/"a"' };
  const server = await serve(served);
  const source = await httpSource(server.url);
  served.etag = 'W/"b"';
  await source.readBatch([read(100_000, 10)]);
  expect(server.conditions).toEqual([undefined, undefined]);
});

test('a strong ETag goes along, and a server that heeds it tells of the change', async () => {
  const served: Served = { bytes: DISK, etag: '"a"', heedsIfMatch: true };
  const server = await serve(served);
  const source = await httpSource(server.url);
  await source.readBatch([read(100_000, 10)]);
  expect(server.conditions).toEqual([undefined, '"a"']);
  served.etag = '"b"';
  const sent = server.sentBytes();
  await expect(source.readBatch([read(100_000, 10)])).rejects.toMatchObject({
    code: 'IMAGE_CHANGED',
    message: `${server.url} was changed on the server while it was read`,
  });
  expect(server.sentBytes()).toBe(sent);
});

test('a page of another origin sends no condition: a browser would ask the server first whether it may', async () => {
  const conditions: unknown[] = [];
  const fetch: Fetch = async (url, init) => {
    conditions.push(init.headers['If-Match']);
    const { status, headers, body } = await globalThis.fetch(url, init);
    return { type: 'cors', status, headers, body };
  };
  const server = await serve({ bytes: DISK, etag: '"a"' });
  const source = await httpSource(server.url, { fetch });
  await source.readBatch([read(100_000, 10)]);
  expect(conditions).toEqual([undefined, undefined]);
});

test.each([412, 416, 403])('status %i without a reason for it is a read error', async (status) => {
  const served: Served = { bytes: DISK };
  const server = await serve(served);
  const source = await httpSource(server.url);
  served.status = status;
  await expect(source.readBatch([read(100_000, 10)])).rejects.toMatchObject({
    code: 'READ_FAILED',
    details: { at: 100_000, expected: 'status 206', actual: `status ${status}` },
  });
});

test.each([401, 403, 404, 416, 503])('status %i at the opening is told', async (status) => {
  const server = await serve({ bytes: DISK, status });
  await expect(httpSource(server.url)).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't open ${server.url}: the server answers with status ${status}`,
    details: { file: server.url, actual: `status ${status}` },
  });
});

test.each([
  [
    'packed',
    { headers: { 'content-encoding': 'zstd' } },
    'packs what it sends (Content-Encoding: zstd)',
  ],
  ['of another place', { shift: 1 }, 'answers with another range'],
  [
    'of more than was asked for',
    { claims: 'bytes 0-100000/3000000' },
    'answers with another range',
  ],
  ['of less than nothing', { claims: 'bytes 0--1/3000000' }, 'no Content-Range that can be read'],
  [
    'of a size that nobody knows',
    { claims: 'bytes 0-65535/*' },
    'no Content-Range that can be read',
  ],
  ['longer than it claims', { claims: 'bytes 0-9/3000000' }, 'sends more than it says'],
])('an opening %s is none', async (_, misbehaviour, reason) => {
  const server = await serve({ bytes: DISK, ...misbehaviour });
  const opening = httpSource(server.url);
  await expect(opening).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  await expect(opening).rejects.toThrow(reason);
});

test('the whole of a file is an answer where that is nothing', async () => {
  const served: Served = { bytes: new Uint8Array(0), ignoresRanges: true };
  const source = await httpSource((await serve(served)).url);
  expect(await source.sizeBytes()).toBe(0);
  served.bytes = DISK.subarray(0, 1);
  await expect(httpSource((await serve(served)).url)).rejects.toMatchObject({
    code: 'OPEN_FAILED',
  });
});

test('a name and a password in the address stay out of the label', async () => {
  const source = await httpSource('https://me:secret@example.org/a@b.qcow2?x=1#y', {
    fetch: () =>
      Promise.resolve({
        status: 416,
        headers: { get: (name) => (name === 'content-range' ? 'bytes */0' : null) },
        body: null,
      }),
  });
  expect(source.label).toBe('https://example.org/a@b.qcow2');
});

test.each([
  ['another range', { shift: 1 }],
  ['an error status', { status: 503 }],
  ['a broken body', { breaksOff: true }],
  ['the whole file at once', { ignoresRanges: true }],
  ['a packed body', { headers: { 'content-encoding': 'zstd' } }],
  ['more than is claimed', { claims: 'bytes 100000-100009/3000000' }],
])('%s is a read error with the place', async (_, misbehaviour) => {
  const served: Served = { bytes: DISK };
  const server = await serve(served);
  const source = await httpSource(server.url);
  Object.assign(served, misbehaviour);
  const reading = source.readBatch([read(100_000, 100_000)]);
  await expect(reading).rejects.toMatchObject({ code: 'READ_FAILED', details: { at: 100_000 } });
});

test('a body without an end is cut off', async () => {
  let [cancelled, parts] = [0, 0];
  const endless: Fetch = (_, { headers }) => {
    const [first, last] = /(\d+)-(\d+)/.exec(headers['Range']!)!.slice(1);
    const body = {
      getReader: () => ({
        read: () => {
          parts += 1;
          return Promise.resolve({ done: false, value: new Uint8Array(1000).fill(7) });
        },
        cancel: () => Promise.resolve(void (cancelled += 1)),
      }),
      cancel: () => Promise.resolve(),
    };
    const range = `bytes ${first}-${last}/500000`;
    const get = (name: string) => (name === 'content-range' ? range : null);
    return Promise.resolve({ status: 206, headers: { get }, body });
  };
  const opening = httpSource('http://127.0.0.1:9/x', { fetch: endless });
  await expect(opening).rejects.toThrow('sends more than it says');
  expect({ cancelled, parts }).toEqual({ cancelled: 1, parts: 66 });
});

test('headers go along, and what may be secret in the address stays out of the label', async () => {
  const seen: string[] = [];
  const spy: Fetch = (url, { headers }) => {
    seen.push(url, headers['Authorization'] ?? '');
    const get = (name: string) => (name === 'content-range' ? 'bytes */0' : null);
    return Promise.resolve({ status: 416, headers: { get }, body: null });
  };
  const url = 'http://127.0.0.1:9/x.qcow2?signature=1';
  const source = await httpSource(url, { fetch: spy, headers: { Authorization: 'Basic eA==' } });
  expect(seen).toEqual([url, 'Basic eA==']);
  expect(source.label).toBe('http://127.0.0.1:9/x.qcow2');
});

// A browser's fetch is a method of the window: called on anything else it throws "Illegal invocation".
test.each(['given', 'global'])(
  'the %s fetch is called as a function, not as a method',
  async (of) => {
    const server = await serve({ bytes: DISK });
    const ofNode = globalThis.fetch;
    function likeInBrowsers(this: unknown, ...[url, init]: Parameters<Fetch>): ReturnType<Fetch> {
      if (this !== undefined && this !== globalThis) throw new TypeError('Illegal invocation');
      return ofNode(url, init);
    }
    vi.stubGlobal('fetch', likeInBrowsers);
    try {
      const source = await httpSource(
        server.url,
        of === 'given' ? { fetch: globalThis.fetch } : {},
      );
      expect(await source.sizeBytes()).toBe(DISK.length);
    } finally {
      vi.unstubAllGlobals();
    }
  },
);
