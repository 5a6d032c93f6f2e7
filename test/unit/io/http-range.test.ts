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

test('opening asks for one byte', async () => {
  const server = await serve({ bytes: DISK });
  const source = await httpSource(server.url);
  expect(await source.sizeBytes()).toBe(DISK.length);
  expect(server.ranges).toEqual(['bytes=0-0']);
  expect(server.sentBytes()).toBe(1);
});

test('near requests share one range, far ones have their own, and the end is not passed', async () => {
  const server = await serve({ bytes: DISK });
  const source = await httpSource(server.url);
  const requests = [
    read(1_000_000, 10),
    read(0, 104),
    read(65_536, 512),
    read(2_999_990, 100),
    read(9_000_000, 10),
  ];
  await source.readBatch(requests);
  expect(server.ranges.slice(1).sort()).toEqual([
    'bytes=0-66047',
    'bytes=1000000-1000009',
    'bytes=2999990-2999999',
  ]);
  expect(requests[2]!.into).toEqual(DISK.slice(65_536, 66_048));
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
  await source.readBatch([read(0, 10)]);
  Object.assign(served, after);
  await expect(source.readBatch([read(0, 10)])).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
});

test('a weak ETag alone proves no change', async () => {
  const served: Served = { bytes: DISK, etag: 'W/"a"' };
  const server = await serve(served);
  const source = await httpSource(server.url);
  served.etag = 'W/"b"';
  await source.readBatch([read(0, 10)]);
});

test.each([
  ['another range', { shift: 1 }],
  ['an error status', { status: 503 }],
  ['a broken body', { breaksOff: true }],
  ['the whole file at once', { ignoresRanges: true }],
])('%s is a read error with the place', async (_, misbehaviour) => {
  const served: Served = { bytes: DISK };
  const server = await serve(served);
  const source = await httpSource(server.url);
  Object.assign(served, misbehaviour);
  const reading = source.readBatch([read(4096, 100_000)]);
  await expect(reading).rejects.toMatchObject({ code: 'READ_FAILED', details: { at: 4096 } });
});

test('a body longer than its range is cut off', async () => {
  const endless: Fetch = (_, { headers }) => {
    const first = Number(/\d+/.exec(headers['Range']!)![0]);
    const body = {
      getReader: () => ({
        read: () => Promise.resolve({ done: false, value: new Uint8Array(1000).fill(7) }),
        cancel: () => Promise.resolve(),
      }),
      cancel: () => Promise.resolve(),
    };
    const range = `bytes ${first}-${first}/5000`;
    const get = (name: string) => (name === 'content-range' ? range : null);
    return Promise.resolve({ status: 206, headers: { get }, body });
  };
  const source = await httpSource('http://127.0.0.1:9/x', { fetch: endless });
  const request = read(10, 2500);
  await source.readBatch([request]);
  expect(request.into).toEqual(new Uint8Array(2500).fill(7));
});

test('headers go along, and what may be secret in the address stays out of the label', async () => {
  const seen: string[] = [];
  const spy: Fetch = (url, { headers }) => {
    seen.push(url, headers['Authorization'] ?? '');
    const get = (name: string) => (name === 'content-range' ? 'bytes 0-0/10' : null);
    return Promise.resolve({ status: 206, headers: { get }, body: null });
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
