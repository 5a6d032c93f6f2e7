/** `openUrl` on servers that fail now and then: what passes is waited for, and what does not is told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { openUrl, type OpenUrlOptions } from '../../src/node/http/open-url.js';
import { freePort } from '../support/ports.js';
import { rangeServer, type RangeServer, type Served } from '../support/range-server.js';
import { sourceContract } from './device-contract.js';

const servers: RangeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const DISK = new Uint8Array(3_000_000).map((_, i) => i % 251);
const read = (at: number, length: number) => ({ at, into: new Uint8Array(length) });

/** A server, and the waits that a source of it has asked for. */
async function served(file: Partial<Served>, options: OpenUrlOptions = {}) {
  const serving: Served = { bytes: DISK, etag: '"one"', ...file };
  const server = await rangeServer(serving);
  servers.push(server);
  const waits: number[] = [];
  const sleep = (milliseconds: number): Promise<void> => {
    waits.push(milliseconds);
    return Promise.resolve();
  };
  const open = () => openUrl(server.url, { sleep, ...options });
  return { server, serving, waits, open };
}

/** The same, with a source that was opened while the server was well. */
async function opened(faults: Partial<Served>, options: OpenUrlOptions = {}) {
  const all = await served({}, options);
  const source = await all.open();
  Object.assign(all.serving, faults);
  return { ...all, source };
}

sourceContract(
  'a server of which every second answer fails',
  async (bytes) => {
    const { serving, open } = await served({ bytes });
    const source = await open();
    let count = 0;
    Object.defineProperties(serving, {
      status: { get: () => ((count += 1) % 2 === 1 ? 503 : undefined) },
      breaksOff: { get: () => count % 4 === 2 },
    });
    return source;
  },
  { runs: 10, largeBytes: 100_000 },
);

test.each([
  ['429', { status: 429 }],
  ['500', { status: 500 }],
  ['502', { status: 502 }],
  ['503', { status: 503 }],
  ['504', { status: 504 }],
  ['a reset connection', { resets: true }],
])('%s twice is waited for, at the opening and later', async (_, fault) => {
  const { serving, waits, open } = await served({ ...fault, failures: 2 });
  const source = await open();
  expect(waits).toEqual([250, 500]);
  serving.failures = 2;
  const request = read(1_000_000, 100);
  await source.readBatch([request]);
  expect(request.into).toEqual(DISK.slice(1_000_000, 1_000_100));
  expect(waits).toEqual([250, 500, 250, 500]);
});

test('waits grow and end, and so do tries', async () => {
  const { server, waits, open } = await served({ status: 503 }, { tries: 9 });
  await expect(open()).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't open ${server.url}: the server answers with status 503`,
    details: { hint: 'the server is too busy: try again later' },
  });
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  expect(server.ranges.length).toBe(9);
});

test('chance spreads waits between the half and the whole', async () => {
  const chances = [0, 0.5];
  const { waits, open } = await served(
    { status: 503, failures: 2 },
    { random: () => chances.shift()! },
  );
  await open();
  expect(waits).toEqual([125, 375]);
});

test.each([
  ['seconds', { 'retry-after': '3' }, [3000]],
  ['no time at all', { 'retry-after': '0' }, [250]],
  [
    'a date',
    { date: 'Tue, 01 Jan 2030 00:00:00 GMT', 'retry-after': 'Tue, 01 Jan 2030 00:00:07 GMT' },
    [7000],
  ],
  [
    'a date that is past',
    { date: 'Tue, 01 Jan 2030 00:00:09 GMT', 'retry-after': 'Tue, 01 Jan 2030 00:00:07 GMT' },
    [250],
  ],
  ['nonsense', { 'retry-after': 'soon' }, [250]],
])('a server that asks for %s is obeyed', async (_, headers, expected) => {
  const { waits, open } = await served({ status: 503, failures: 1, headers });
  await open();
  expect(waits).toEqual(expected);
});

test('a server that asks for more than a minute is not waited for', async () => {
  const { waits, open } = await served({ status: 503, headers: { 'retry-after': '61' } });
  await expect(open()).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  expect(waits).toEqual([]);
});

test.each([
  [401, 'the server wants a name and a password, or a signed address'],
  [403, 'the server lets nobody read it without the right to; a signed address may have expired'],
  [404, 'the server has no file of that address'],
  [416, undefined],
])('status %i is told at once', async (status, hint) => {
  const { server, waits, open } = await served({ status });
  const opening = open();
  await expect(opening).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  const error = await opening.catch((caught: unknown) => caught as { details: { hint?: string } });
  expect((error as { details: { hint?: string } }).details.hint).toBe(hint);
  expect({ waits, requests: server.ranges.length }).toEqual({ waits: [], requests: 1 });
});

test('a server that is not there is told at once, and waited for where it was', async () => {
  const { server, source, waits } = await opened({});
  const sleep = (): Promise<never> => Promise.reject(new Error('nothing is waited for'));
  const port = await freePort();
  const opening = openUrl(`http://127.0.0.1:${port}/x`, { sleep });
  await expect(opening).rejects.toThrow('ECONNREFUSED');
  await server.close();
  await expect(source.readBatch([read(100_000, 10)])).rejects.toMatchObject({
    code: 'READ_FAILED',
    details: { at: 100_000 },
  });
  expect(waits).toEqual([250, 500, 1000, 2000, 4000]);
});

test('a body that breaks off is gone on with, not begun again', async () => {
  const { server, source, waits } = await opened({ breaksOff: true, sentBytes: 300_000 });
  const request = read(100_000, 1_000_000);
  await source.readBatch([request]);
  expect(request.into).toEqual(DISK.slice(100_000, 1_100_000));
  const starts = server.ranges.slice(1).map((range) => Number(/\d+/.exec(range!)![0]));
  expect(starts).toEqual([100_000, 400_000, 700_000, 1_000_000]);
  // Each brought so much that it counts as the first failure.
  expect(waits).toEqual([250, 250, 250]);
});

test('bodies that bring nearly nothing are enough after a while', async () => {
  const { server, source } = await opened({ breaksOff: true });
  const reading = source.readBatch([read(100_000, 1_000_000)]);
  await expect(reading).rejects.toMatchObject({ code: 'READ_FAILED' });
  expect(server.ranges.length).toBe(1 + 6);
});

test('a server that sends nothing any more is given up, and tried again', async () => {
  const { serving, source, waits } = await opened({ stalls: true, failures: 1 }, { stallMs: 100 });
  const request = read(100_000, 1000);
  await source.readBatch([request]);
  expect(request.into).toEqual(DISK.slice(100_000, 101_000));
  expect(waits).toEqual([250]);
  delete serving.failures;
  await expect(source.readBatch([read(100_000, 1000)])).rejects.toMatchObject({
    code: 'READ_FAILED',
    message: expect.stringContaining('nothing came from the server for 0.1 seconds') as unknown,
  });
});

test('a server that never answers is given up', async () => {
  const { open } = await served({ isSilent: true }, { stallMs: 50, tries: 2 });
  await expect(open()).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: expect.stringContaining('nothing came from the server for 0.05 seconds') as unknown,
  });
});

test('an image that was changed between two tries is told', async () => {
  const { serving, source } = await opened({ status: 503, failures: 1, heedsIfMatch: true });
  serving.etag = '"two"';
  await expect(source.readBatch([read(100_000, 10)])).rejects.toMatchObject({
    code: 'IMAGE_CHANGED',
  });
});

test('a redirect is followed', async () => {
  const { server } = await served({});
  const { open } = await served({
    status: 302,
    headers: { location: `${server.url}?signature=secret` },
  });
  const source = await open();
  const request = read(100_000, 10);
  await source.readBatch([request]);
  expect(request.into).toEqual(DISK.slice(100_000, 100_010));
  expect(server.ranges.length).toBe(2);
});

test('a name and a password in the address go as a header', async () => {
  const headers: unknown[] = [];
  const opening = openUrl('http://me%40home:p%ss@127.0.0.1:9/x?y', {
    fetch: (url, init) => {
      headers.push(url, init.headers['Authorization']);
      return Promise.resolve({ status: 404, headers: { get: () => null }, body: null });
    },
  });
  await expect(opening).rejects.toThrow("Can't open http://127.0.0.1:9/x: the server");
  const credentials = Buffer.from('me@home:p%ss').toString('base64');
  expect(headers).toEqual(['http://127.0.0.1:9/x?y', `Basic ${credentials}`]);
});

test.each(['ftp://host/x', 'disk.qcow2', 'http://?secret'])('%s is refused', async (url) => {
  await expect(openUrl(url)).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't open ${url.replace('?secret', '')}: it is no http or https address`,
  });
});

describe('a redirect', () => {
  const redirected = async (location: string, headers: Record<string, string> = {}) => {
    const seen: unknown[] = [];
    const target = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(416, { 'content-range': 'bytes */0' }).end();
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as AddressInfo;
    const { server } = await served({
      status: 307,
      headers: { location: location.replace('TARGET', `http://127.0.0.1:${port}/x`) },
    });
    const opening = openUrl(server.url, { headers, tries: 1 });
    await opening.catch(() => undefined);
    target.close();
    return { seen, opening, requests: server.ranges.length };
  };

  test('to another server takes no Authorization there', async () => {
    const { seen, opening } = await redirected('TARGET', { Authorization: 'Basic eA==' });
    await opening;
    expect(seen).toEqual([undefined]);
  });

  test('in a circle ends', async () => {
    const { opening, requests } = await redirected('/again');
    await expect(opening).rejects.toThrow('the server answers with status 307');
    expect(requests).toBe(6);
  });

  test.each(['file:///etc/passwd', 'http://', 'ftp://x/y'])('to %s is none', async (location) => {
    const { opening, requests } = await redirected(location);
    await expect(opening).rejects.toThrow('the server answers with status 307');
    expect(requests).toBe(1);
  });
});
