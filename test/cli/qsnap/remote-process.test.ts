/** The built program on images on servers: what talks to them is built apart. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { answerRange, rangeServer, type RangeServer } from '../../support/range-server.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));

async function run(args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [BIN, ...args], { env });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const code = await new Promise<unknown>((settle) => child.on('close', settle));
  return { code, output };
}

let server: RangeServer;
beforeAll(async () => {
  server = await rangeServer({ bytes: loadFixture('five-snapshots'), etag: '"one"' });
});
afterAll(() => server.close());

test('https: by a certificate that Node is told to trust, and by no other', async () => {
  const home = temporaryDirectory();
  const [key, certificate] = [path.join(home, 'key'), path.join(home, 'certificate')];
  const request =
    '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x';
  execFileSync(
    'openssl',
    [
      ...['req', ...request.split(' '), '-addext', 'subjectAltName=DNS:localhost'],
      ...['-keyout', key, '-out', certificate],
    ],
    { stdio: 'ignore' },
  );
  const bytes = loadFixture('five-snapshots');
  const connections = new Set<unknown>();
  const secure = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (asked, response) => {
      connections.add(asked.socket);
      answerRange({ bytes, etag: '"one"' }, asked, response);
    },
  );
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  const { port } = secure.address() as AddressInfo;
  const check = (env: NodeJS.ProcessEnv) => run(['check', `https://localhost:${port}/disk`], env);
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const trusting = await check({ ...env, NODE_EXTRA_CA_CERTS: certificate });
  expect(trusting).toMatchObject({ code: 0 });
  // The first one is Node's own, those behind it are kept ones.
  expect(connections.size).toBeGreaterThan(1);
  connections.clear();
  const other = await check(env);
  expect(other).toMatchObject({ code: 1 });
  expect(other.output).toContain('self-signed certificate');
  expect(connections.size).toBe(0);
  secure.close();
});

test.each(['http', 's3'])('%s', async (scheme) => {
  const env = {
    ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', HOME: temporaryDirectory() },
    ...{ AWS_ENDPOINT_URL: new URL(server.url).origin, PATH: process.env['PATH'] },
  };
  const address = scheme === 's3' ? 's3://bucket/disk.qcow2' : server.url;
  const { code, output } = await run(['info', address], env);
  expect(code, output).toBe(0);
  expect(output.startsWith(`${address}\n  format           qcow2 version 3 `)).toBe(true);
  expect(server.ranges.splice(0).length).toBe(2);
});
