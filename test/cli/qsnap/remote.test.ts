/** Images on servers: commands that read take their addresses, and no other command does. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { rangeServer, type RangeServer, type Served } from '../../support/range-server.js';
import { imageOf, parsed, qsnap } from './harness.js';

const servers: RangeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** What no output may have. */
const SECRET = 'S3CRET';

/** A fixture on a server, at an address with two secrets, and without them. */
async function served(fixture: string, more: Partial<Served> = {}) {
  const server = await rangeServer({ bytes: loadFixture(fixture), etag: '"one"', ...more });
  servers.push(server);
  const secret =
    server.url.replace('http://', `http://me:${SECRET}@`) + `?X-Amz-Signature=${SECRET}`;
  return { server, url: secret, name: server.url };
}

const READING: readonly (readonly [command: string, ...more: string[]])[] = [
  ['info'],
  ['list'],
  ['show', 'id:1'],
  ['check'],
  ['audit', '--profile', 'untrusted-upload'],
  ['map'],
  ['usage'],
  ['tree'],
  ['compare', '--snapshot', 'id:1'],
  ['diff', 'id:1', 'active'],
  ['diff', 'id:1', 'active', '--content'],
];

test.each(READING)('%s says of an image on a server what it says of the file', async (...words) => {
  const [command = '', ...more] = words;
  const file = imageOf('five-snapshots');
  const { url, name } = await served('five-snapshots');
  for (const json of [[], ['--json']]) {
    const ofFile = await qsnap([command, ...json, file, ...more]);
    const ofUrl = await qsnap([command, ...json, url, ...more]);
    expect(ofUrl.code).toBe(ofFile.code);
    expect(ofUrl.stderr.replaceAll(name, file)).toBe(ofFile.stderr);
    // What a file takes on its medium is known of no other.
    const alike = ofFile.stdout
      .replace(/ +taken on the host +.*\n/, '')
      .replace(/, [^,]* taken on the host/, '')
      .replace(/ *"(actual-size|allocated-bytes)": \d+,\n/g, '');
    const columns = (text: string): string => text.replace(/ +/g, ' ');
    expect(columns(ofUrl.stdout.replaceAll(name, file))).toBe(columns(alike));
    if (json.length > 0) parsed(command as 'info', ofUrl.stdout);
    expect(ofUrl.stdout + ofUrl.stderr).not.toContain(SECRET);
  }
});

test('a command whose image is not there tells its name without secrets', async () => {
  const { url, name } = await served('five-snapshots', { status: 404 });
  const output = join(temporaryDirectory(), 'out');
  const making = [
    ['export', '-o', output],
    ['compact', '-o', output],
    ['rescue', '--plan'],
  ];
  for (const [command, ...more] of [...READING, ...making]) {
    for (const json of [[], ['--json']]) {
      const { code, stdout, stderr } = await qsnap([command, ...json, url, ...more]);
      expect(code).toBe(command === 'compare' || command === 'diff' ? 2 : 1);
      expect(stderr).toBe(
        `qsnap: Can't open ${name}: the server answers with status 404\n` +
          'hint: the server has no file of that address\n',
      );
      expect(stdout).not.toContain(SECRET);
      if (json.length > 0) expect(stdout).toContain('OPEN_FAILED');
    }
  }
  expect(existsSync(output)).toBe(false);
});

test('an export and a compact copy of an image on a server', async () => {
  const file = imageOf('five-snapshots');
  const { url, name } = await served('five-snapshots');
  const folder = temporaryDirectory();
  const at = (copy: string): string => join(folder, copy);
  const manifest = ['--manifest', at('manifest.json')];
  expect((await qsnap(['export', file, 'id:2', '-o', at('a.raw')])).code).toBe(0);
  const done = await qsnap(['export', ...manifest, url, 'id:2', '-o', at('b.raw')]);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toContain(name);
  expect(readFileSync(at('b.raw')).equals(readFileSync(at('a.raw')))).toBe(true);
  const { filename } = parsed('manifest', readFileSync(at('manifest.json'), 'utf8')) as {
    filename: string;
  };
  expect(filename).toBe(name);
  const compacted = await qsnap(['compact', url, '-o', at('c.qcow2')]);
  expect(compacted).toMatchObject({ code: 0, stderr: '' });
  const rawPatch = await qsnap(['diff', '--raw-patch', at('d.raw'), url, 'id:1', 'active']);
  expect(rawPatch.code).toBe(1);
  expect((await qsnap(['check', at('c.qcow2')])).code).toBe(0);
  expect((await qsnap(['tree', '--svg', at('t.svg'), '--dot', url])).code).toBe(0);
  expect((await qsnap(['usage', '--svg', at('u.svg'), url])).code).toBe(0);
  const made = readdirSync(folder).map((one) => readFileSync(at(one), 'latin1'));
  expect(made.filter((text) => text.includes(SECRET))).toEqual([]);
  expect(compacted.stdout + done.stdout + rawPatch.stdout).not.toContain(SECRET);
});

test('two sides of a comparison may lie in two places', async () => {
  const file = imageOf('five-snapshots');
  const { url, name } = await served('five-snapshots');
  const { code, stdout } = await qsnap(['compare', file, url]);
  expect(code).toBe(0);
  expect(stdout).toContain(name);
  expect(await qsnap(['compare', url, url])).toMatchObject({ code: 0 });
});

test('no overlay lies on an image on a server, but on a copy of it', async () => {
  const { url } = await served('five-snapshots');
  const folder = temporaryDirectory();
  const patch = ['diff', '--patch', join(folder, 'p.qcow2')];
  const { code, stderr } = await qsnap([...patch, url, 'active', 'id:1']);
  expect({ code, stderr }).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(
      /it is on a server\nhint: name a copy of the disk on this host/,
    ) as unknown,
  });
  const copy = imageOf('five-snapshots');
  const done = await qsnap([...patch, '--backing-file', copy, url, 'active', 'id:1']);
  expect(done).toMatchObject({ code: 1, stderr: '' });
});

test('the header, the snapshots and an audit of an upload are two requests each', async () => {
  for (const words of [['info'], ['audit', '--profile', 'untrusted-upload']]) {
    const { server, url } = await served('five-snapshots');
    await qsnap([...words, url]);
    expect(server.ranges.length).toBeLessThanOrEqual(2);
  }
});

test('an image that changes is told', async () => {
  let answers = 0;
  const server = await rangeServer({
    bytes: loadFixture('five-snapshots'),
    heedsIfMatch: true,
    get etag() {
      return (answers += 1) === 1 ? '"one"' : '"two"';
    },
  });
  servers.push(server);
  const { url } = server;
  const { code, stderr } = await qsnap(['check', url]);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `qsnap: ${url} was changed on the server while it was read\n`,
  });
});

test.each([
  ['export', 'backing', ['-o', 'never']],
  ['map', 'backing', []],
  ['compare', 'backing', ['--with-format', 'raw']],
])('%s --backing opens nothing that an image on a server names', async (command, fixture, more) => {
  const { url } = await served(fixture);
  const other = command === 'compare' ? [imageOf('five-snapshots')] : [];
  const { code, stderr } = await qsnap([command, '--backing', ...more, url, ...other]);
  expect(code).toBe(command === 'compare' ? 2 : 1);
  expect(stderr).toContain(
    'of an image on a server is not opened\nhint: copy the image and what it names',
  );
});

test('a disk with a backing file says where it can be read', async () => {
  const { url } = await served('backing');
  const { code, stderr } = await qsnap(['export', url, '-o', 'never']);
  expect(code).toBe(1);
  expect(stderr).toContain(
    'hint: copy the image and what it names to this host, where --backing opens it\n',
  );
  expect(existsSync('never')).toBe(false);
});

test.each([
  ['create', 'URL', 'x'],
  ['create', '--dry-run', 'URL', 'x'],
  ['apply', 'URL', 'id:1'],
  ['delete', 'URL', 'id:1'],
  ['rename', 'URL', 'id:1', 'x'],
  ['prune', '--keep-last', '1', 'URL'],
  ['resize', 'URL', '1G'],
  ['trim', 'URL'],
  ['scrub', 'URL'],
  ['repair', 'URL'],
  ['repair', '--plan', 'URL'],
  ['undo', 'URL', 'FILE'],
  ['create', '--group', 'FILE', 'URL', '--', 'x'],
  ['list', '--group', 'FILE', 'URL'],
  ['export', 'FILE', '-o', 'URL'],
  ['compact', 'FILE', '-o', 'URL'],
  ['diff', '--patch', 'URL', 'FILE', 'id:1'],
])('%s %s %s %s %s is refused, and nothing is asked of the server', async (...words) => {
  const file = imageOf('five-snapshots');
  const before = readFileSync(file);
  for (const scheme of ['http', 'HTTPS', 's3']) {
    const { server, url } = await served('five-snapshots');
    const argv = words.map((word) => {
      return word === 'URL' ? url.replace('http', scheme) : word === 'FILE' ? file : word;
    });
    const { code, stdout, stderr } = await qsnap([...argv.slice(0, 1), '--json', ...argv.slice(1)]);
    expect(code).toBe(words[0] === 'diff' ? 2 : 1);
    expect(stderr).toContain(
      'an address on a server is only taken by commands that read, as an image\n',
    );
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'USAGE' } });
    expect(stderr + stdout).not.toContain(SECRET);
    expect(server.ranges).toEqual([]);
  }
  expect(readFileSync(file).equals(before)).toBe(true);
});

test('a file whose name begins as an address is opened by a path to it', async () => {
  const home = process.cwd();
  process.chdir(temporaryDirectory());
  try {
    writeFileSync('http:disk.qcow2', loadFixture('five-snapshots'));
    expect((await qsnap(['list', 'http:disk.qcow2'])).code).toBe(0);
    expect((await qsnap(['create', './http:disk.qcow2', 'x'])).code).toBe(0);
    expect((await qsnap(['check', './http:disk.qcow2'])).code).toBe(0);
  } finally {
    process.chdir(home);
  }
});

test('reports name the address, without secrets, as a URI', async () => {
  const { url, name } = await served('five-snapshots');
  const path = url.replace('/disk.qcow2', '/a%20b/ü[1].qcow2');
  const audit = (format: string) =>
    qsnap(['audit', '--profile', 'untrusted-upload', '--format', format, path]);
  const { stdout } = await audit('sarif');
  const uris = [...stdout.matchAll(/"uri": "([^"]*)"/g)].map(([, uri]) => uri);
  expect([...new Set(uris)]).toEqual([name.replace('/disk.qcow2', '/a%20b/%C3%BC%5B1%5D.qcow2')]);
  for (const format of ['sarif', 'junit', 'markdown', 'github', 'json', 'text']) {
    expect((await audit(format)).stdout).not.toContain(SECRET);
  }
});

test('what is no address is told', async () => {
  const { code, stderr } = await qsnap(['list', `http://[x/?${SECRET}`, `s3://?${SECRET}`]);
  expect(code).toBe(1);
  expect(stderr).toContain("qsnap: Can't open http://[x/: it is no http or https address\n");
  expect(stderr).toContain('it has no name of a bucket');
});
