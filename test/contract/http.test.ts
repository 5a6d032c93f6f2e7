import { afterAll } from 'vitest';
import { httpSource } from '../../src/io/http-range.js';
import type { BlockSource } from '../../src/io/device.js';
import { rangeServer } from '../support/range-server.js';
import type { RangeServer, Served } from '../support/range-server.js';
import { sourceContract } from './device-contract.js';

const servers: RangeServer[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
});

async function served(file: Served): Promise<BlockSource> {
  const server = await rangeServer(file);
  servers.push(server);
  return httpSource(server.url);
}

sourceContract('http', (bytes) => served({ bytes, etag: '"one"' }), { runs: 25 });
sourceContract('http, short answers', (bytes) => served({ bytes, mostBytes: 997 }), {
  runs: 10,
  largeBytes: 100_000,
});
