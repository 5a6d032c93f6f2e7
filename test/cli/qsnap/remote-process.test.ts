/** The built program on images on servers: what talks to them is built apart. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { rangeServer, type RangeServer } from '../../support/range-server.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));

let server: RangeServer;
beforeAll(async () => {
  server = await rangeServer({ bytes: loadFixture('five-snapshots'), etag: '"one"' });
});
afterAll(() => server.close());

test.each(['http', 's3'])('%s', async (scheme) => {
  const env = {
    ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', HOME: temporaryDirectory() },
    ...{ AWS_ENDPOINT_URL: new URL(server.url).origin, PATH: process.env['PATH'] },
  };
  const address = scheme === 's3' ? 's3://bucket/disk.qcow2' : server.url;
  const child = spawn(process.execPath, [BIN, 'info', address], { env });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const code = await new Promise((settle) => child.on('close', settle));
  expect(code, output).toBe(0);
  expect(output.startsWith(`${address}\n  format           qcow2 version 3 `)).toBe(true);
  expect(server.ranges.splice(0).length).toBe(2);
});
