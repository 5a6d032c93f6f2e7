/** The build in a real browser: images as files and over HTTP, with what Node reads as the measure. */
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { memoryDevice } from '../../src/index.js';
import { newSha256, nodeCryptography, nodeDecompressor } from '../../src/node/index.js';
import { describeWithBrowser, FOREIGN_HOST, startBrowser } from '../support/chromium.js';
import { temporaryDirectory } from '../support/directories.js';
import {
  copyCompanions,
  copyFixture,
  expectedContents,
  loadFixture,
  recipe,
} from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { editImage } from './editing.js';
import type { Calls, Outcome, Wanted } from './page.js';
import { pageServer, type PageServer } from './page-server.js';
import { gateTo, readImage, type Reading } from './reading.js';

/** One of each kind of cluster and cipher, and a chain of two images. */
const FIXTURES = [
  ...['five-snapshots', 'cluster-512', 'vm-state', 'extended-l2', 'refcount-1'],
  ...[
    'compressed-v2',
    'compressed-zlib',
    'compressed-zstd',
    'compressed-spanning',
    'extended-l2-zstd',
  ],
  ...['luks', 'aes', 'backing-chain', 'copied-flags-wrong', 'refcount-leaks'],
];

/** Guest data that packs well in one half, and not at all in the other. */
const GUEST_DATA = Uint8Array.from({ length: 600_064 }, (_, i) =>
  i < 300_000 ? (i >>> 7) & 255 : Math.imul(i, 2_654_435_761) >>> 24,
);

describeWithBrowser('in a browser', () => {
  const directory = temporaryDirectory();
  const complaints: string[] = [];
  let server: PageServer;
  let browser: Browser;
  let page: Page;
  let foreignPage: Page;

  async function openPage(host: string): Promise<Page> {
    const opened = await browser.newPage();
    opened.on('pageerror', (error) => complaints.push(error.message));
    await opened.goto(`http://${host}:${server.port}/`);
    return opened;
  }

  beforeAll(async () => {
    [server, browser] = await Promise.all([pageServer(), startBrowser()]);
    [page, foreignPage] = await Promise.all([openPage('127.0.0.1'), openPage(FOREIGN_HOST)]);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([browser.close(), server.close()]);
  });

  /** Gives files to the page, or puts them on the server. */
  async function give(by: Wanted['by'], names: readonly string[], to = page): Promise<void> {
    const paths = names.map((name) => path.join(directory, name));
    if (by === 'file') await to.setInputFiles('input', paths);
    else for (const file of paths) server.serve(path.basename(file), { bytes: readFileSync(file) });
  }

  async function call<Name extends keyof Calls>(
    name: Name,
    wanted: Wanted,
    to = page,
  ): Promise<Outcome<Awaited<ReturnType<Calls[Name]>>>> {
    return to.evaluate(`qsnapPage.call(${JSON.stringify(name)}, ${JSON.stringify(wanted)})`);
  }

  /** What Node reads of the same files. */
  function readByNode(image: string, passphrase: string | undefined): Promise<Reading> {
    const opened = (name: string): Promise<ReturnType<typeof memoryDevice>> =>
      Promise.resolve(memoryDevice(readFileSync(path.join(directory, name)), name));
    const options = {
      decompressor: nodeDecompressor(),
      cryptography: nodeCryptography(),
      passphrase: passphrase === undefined ? undefined : new TextEncoder().encode(passphrase),
      gate: gateTo(opened),
    };
    return opened(image).then((source) => readImage(source, options, newSha256));
  }

  test.each(oneIn(2, FIXTURES))('%s, as a file and by HTTP', async (name) => {
    copyFixture(name, directory);
    const image = `${name}.qcow2`;
    const names = [image, ...copyCompanions(name, directory)];
    const { secret } = recipe(name);
    const byNode = await readByNode(image, secret);
    expect(byNode.disks[0]).toBe(expectedContents(name).active.sha256);
    for (const by of ['file', 'url'] as const) {
      await give(by, names);
      expect(await call('read', { by, image, passphrase: secret }), by).toEqual({ value: byNode });
    }
  });

  test('LUKS in a page that has no WebCrypto', async () => {
    expect(await page.evaluate('qsnapPage.hasWebCrypto')).toBe(true);
    expect(await foreignPage.evaluate('qsnapPage.hasWebCrypto')).toBe(false);
    copyFixture('luks', directory);
    const { secret } = recipe('luks');
    await give('file', ['luks.qcow2'], foreignPage);
    const wanted = { by: 'file', image: 'luks.qcow2', passphrase: secret } as const;
    const byNode = await readByNode('luks.qcow2', secret);
    expect(await call('read', wanted, foreignPage)).toEqual({ value: byNode });
  });

  describeWithQemu('images that QEMU makes', () => {
    // A browser's own cryptography knows neither the hash nor keys of 192 bits.
    test('LUKS by aes-192-xts and ripemd160', async () => {
      const [raw, image] = [path.join(directory, 'guest.raw'), 'aes-192.qcow2'];
      writeFileSync(raw, GUEST_DATA);
      const options = [
        'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
        'encrypt.cipher-alg=aes-192,encrypt.hash-alg=ripemd160',
      ].join(',');
      const secret = ['--object', 'secret,id=s,data=open sesame'];
      const made = path.join(directory, image);
      await qemuImg(['convert', ...secret, '-O', 'qcow2', '-o', options, raw, made]);
      const byNode = await readByNode(image, 'open sesame');
      expect(byNode.disks).toEqual([createHash('sha256').update(GUEST_DATA).digest('hex')]);
      await give('file', [image]);
      const read = await call('read', { by: 'file', image, passphrase: 'open sesame' });
      expect(read).toEqual({ value: byNode });
    });

    test.each(['zlib', 'zstd'])('clusters of 2 MiB that QEMU packed by %s', async (type) => {
      const [raw, image] = [path.join(directory, 'guest.raw'), `packed-${type}.qcow2`];
      writeFileSync(raw, GUEST_DATA);
      const options = `cluster_size=2M,compression_type=${type}`;
      const made = path.join(directory, image);
      await qemuImg(['convert', '-c', '-O', 'qcow2', '-o', options, raw, made]);
      const byNode = await readByNode(image, undefined);
      expect(byNode.disks).toEqual([createHash('sha256').update(GUEST_DATA).digest('hex')]);
      await give('file', [image]);
      expect(await call('read', { by: 'file', image })).toEqual({ value: byNode });
    });
  });

  test('snapshots are listed from a few ranges of a large file', async () => {
    const name = 'luks';
    const bytes = loadFixture(name);
    server.serve(`${name}.qcow2`, { bytes });
    server.takeSentBytes();
    const listed = await call('list', { by: 'url', image: `${name}.qcow2` });
    expect(listed).toEqual({ value: ['first', 'second'] });
    expect(server.takeSentBytes()).toBeLessThan(bytes.length / 5);
  });

  test('an edit in memory gives the bytes that Node gives, and a sound image', async () => {
    const name = 'five-snapshots';
    copyFixture(name, directory);
    await give('file', [`${name}.qcow2`]);
    const byNode = await editImage(loadFixture(name));
    expect(byNode.findings).toEqual([]);
    const sha256 = createHash('sha256').update(byNode.bytes).digest('hex');
    const edited = await call('edit', { by: 'file', image: `${name}.qcow2` });
    expect(edited).toEqual({ value: { sha256, findings: [] } });
  });

  test('a wrong passphrase, a server without ranges and a missing file are told by code', async () => {
    copyFixture('luks', directory);
    await give('url', ['luks.qcow2']);
    const wrong = { by: 'url', image: 'luks.qcow2', passphrase: 'open barley' } as const;
    expect(await call('read', wrong)).toMatchObject({ code: 'PASSPHRASE_WRONG' });
    server.serve('whole.qcow2', { bytes: loadFixture('luks'), ignoresRanges: true });
    const whole = await call('list', { by: 'url', image: 'whole.qcow2' });
    expect(whole).toMatchObject({ code: 'OPEN_FAILED' });
    const missing = await call('list', { by: 'url', image: 'missing.qcow2' });
    expect(missing).toMatchObject({ code: 'OPEN_FAILED' });
  });

  test('a server of another origin has to expose where a range lies', async () => {
    const bytes = loadFixture('five-snapshots');
    const image = `http://127.0.0.1:${server.port}/images/of-another-origin.qcow2`;
    const list = (): ReturnType<typeof call<'list'>> => {
      return call('list', { by: 'url', image }, foreignPage);
    };
    const allowed = { 'access-control-allow-origin': '*' };
    server.serve('of-another-origin.qcow2', { bytes, headers: allowed });
    expect(await list()).toMatchObject({
      code: 'OPEN_FAILED',
      hint: expect.stringContaining('Access-Control-Expose-Headers') as unknown,
    });
    const headers = { ...allowed, 'access-control-expose-headers': 'Content-Range, ETag' };
    server.serve('of-another-origin.qcow2', { bytes, headers });
    expect(await list()).toHaveProperty('value.length', 5);
  });

  test('a file that changed since it was chosen is not read, and the error says so', async () => {
    const image = 'five-snapshots.qcow2';
    copyFixture('five-snapshots', directory);
    await give('file', [image]);
    // The browser notes size and time with the first look at a file, not before.
    expect(await call('list', { by: 'file', image })).toHaveProperty('value.length', 5);
    appendFileSync(path.join(directory, image), 'longer');
    const later = new Date(Date.now() + 60_000);
    utimesSync(path.join(directory, image), later, later);
    expect(await call('list', { by: 'file', image })).toMatchObject({
      code: 'READ_FAILED',
      hint: 'if the file was changed or moved since it was chosen, choose it again',
    });
  });

  test('no error was left to the page', () => {
    expect(complaints).toEqual([]);
  });
});
