/** Images behind nginx, as it comes and as it is often set up. */
import { closeSync, ftruncateSync, openSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openForReading } from '../../src/image/open-for-reading.js';
import { openUrl } from '../../src/node/http/open-url.js';
import { checkImage } from '../../src/read/check/check-image.js';
import { loadFixture } from '../support/fixture.js';
import { describeWithNginx, startNginx, type Nginx } from '../support/nginx.js';
import { sourceContract } from './device-contract.js';

const started: Nginx[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});

async function nginx(more?: string): Promise<Nginx> {
  const server = await startNginx(more);
  started.push(server);
  return server;
}

describeWithNginx('nginx', () => {
  let shared: Nginx;
  beforeAll(async () => {
    shared = await startNginx();
  });
  afterAll(() => shared.stop());
  sourceContract(
    'nginx',
    async (bytes) => {
      writeFileSync(join(shared.folder, 'file'), bytes);
      return openUrl(`${shared.url}/file`);
    },
    { runs: 10 },
  );

  test('an image is opened by two requests', async () => {
    const { url, folder, requests } = await nginx();
    writeFileSync(join(folder, 'disk.qcow2'), loadFixture('five-snapshots'));
    const image = await openForReading(await openUrl(`${url}/disk.qcow2`));
    expect(image.snapshots.length).toBe(5);
    // It writes to its log after it has answered.
    await expect.poll(requests).toEqual(['206 bytes=0-65535', '206 bytes=3801088-3805183']);
  });

  test('an image that is replaced is told, by the server', async () => {
    const { url, folder, requests } = await nginx();
    const file = join(folder, 'disk.qcow2');
    const bytes = loadFixture('five-snapshots');
    writeFileSync(file, bytes);
    const source = await openUrl(`${url}/disk.qcow2`);
    writeFileSync(file, bytes);
    // Its ETag is made of the second and the size.
    utimesSync(file, 1, 1);
    const reading = source.readBatch([{ at: 1_000_000, into: new Uint8Array(10) }]);
    await expect(reading).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
    await expect.poll(() => requests().at(-1)).toBe('412 bytes=1000000-1000009');
  });

  test.each([
    [
      'gzip on; gzip_types *; gzip_min_length 1;',
      'Accept-Encoding',
      'does not serve parts of files',
    ],
    ['max_ranges 0;', 'X-None', 'does not serve parts of files'],
    ['deny all;', 'X-None', 'status 403'],
    ['return 503;', 'X-None', 'status 503'],
  ])('%s: what is no range is not taken for one', async (more, header, reason) => {
    const { url, folder } = await nginx(more);
    writeFileSync(join(folder, 'disk.qcow2'), loadFixture('five-snapshots'));
    const opening = openUrl(`${url}/disk.qcow2`, { headers: { [header]: 'gzip' }, tries: 1 });
    await expect(opening).rejects.toMatchObject({ code: 'OPEN_FAILED' });
    await expect(opening).rejects.toThrow(reason);
  });

  test('an empty file is empty, and one of a byte has it', async () => {
    const { url, folder } = await nginx();
    writeFileSync(join(folder, 'empty'), '');
    writeFileSync(join(folder, 'one'), 'x');
    const one = await openUrl(`${url}/one`);
    expect(await one.sizeBytes()).toBe(1);
    expect(await (await openUrl(`${url}/empty`)).sizeBytes()).toBe(0);
  });

  test('a check reads tables, and nothing else of a large file', async () => {
    const { url, folder, requests } = await nginx();
    const file = openSync(join(folder, 'disk.qcow2'), 'w');
    const bytes = loadFixture('five-snapshots');
    writeSync(file, bytes);
    // A long hole behind the image, as a file system may leave it.
    ftruncateSync(file, 2 ** 40);
    closeSync(file);
    const { exitCode } = await checkImage(await openUrl(`${url}/disk.qcow2`));
    expect(exitCode).toBe(0);
    await expect.poll(() => requests().length).toBeGreaterThan(2);
    const asked = requests().flatMap((line) => [...line.matchAll(/(\d+)-(\d+)/g)]);
    expect(requests().length).toBeLessThan(30);
    const total = asked.reduce((sum, [, first, last]) => sum + Number(last) - Number(first) + 1, 0);
    expect(total).toBeLessThan(2 ** 22);
  });
});
