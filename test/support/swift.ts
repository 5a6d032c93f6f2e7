/** A real server of objects with S3's interface: Debian's OpenStack Swift, four processes and memcached, without a system. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryDirectory } from './directories.js';
import { describeUnless } from './left-out.js';
import { ended, freePort, listening } from './ports.js';

const PACKAGES = 'swift-proxy swift-account swift-container swift-object memcached';
const PROGRAMS = ['swift-ring-builder', 'swift-proxy-server', 'memcached'];

/**
 * `describe` for tests with Swift. Without it they are reported as skipped, with a line that says so; where
 * `QSNAP_REQUIRE_SWIFT=1` is set they fail.
 */
export function describeWithSwift(name: string, fn: () => void): void {
  const isThere = PROGRAMS.every((program) => existsSync(`/usr/bin/${program}`));
  const isRoot = process.getuid?.() === 0;
  const lack = !isThere
    ? `Swift is not installed (Debian: apt install --no-install-recommends ${PACKAGES})`
    : isRoot
      ? undefined
      : 'Swift has to be started by root';
  describeUnless(lack, 'QSNAP_REQUIRE_SWIFT', name, fn);
}

export interface Swift {
  readonly endpoint: string;
  /** For `s3Access`. */
  readonly env: Readonly<Record<string, string>>;
  readonly stop: () => Promise<void>;
}

/** Its only account. */
const KEYS = { AWS_ACCESS_KEY_ID: 'test:tester', AWS_SECRET_ACCESS_KEY: 'testing' };

const STORES = ['account', 'container', 'object'] as const;

export async function startSwift(): Promise<Swift> {
  const home = temporaryDirectory();
  const at = (...names: readonly string[]): string => path.join(home, ...names);
  for (const folder of ['etc', 'devices/sd1', 'run', 'recon']) {
    mkdirSync(at(folder), { recursive: true });
  }
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) await ended(child);
  };
  const start = async (port: number, program: string, ...argv: string[]): Promise<void> => {
    const child = spawn(program, argv, { stdio: 'ignore', cwd: home });
    children.push(child);
    await listening(port, child);
  };
  try {
    const cache = await freePort();
    await start(cache, 'memcached', '-u', 'root', '-l', '127.0.0.1', '-p', String(cache));
    writeFileSync(
      at('etc/swift.conf'),
      '[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n',
    );
    for (const store of STORES) {
      const port = await freePort();
      ring(at('etc'), store, port);
      writeFileSync(at(`etc/${store}.conf`), storeConfig(home, store, port));
      await start(port, `swift-${store}-server`, at(`etc/${store}.conf`));
    }
    const port = await freePort();
    writeFileSync(at('etc/proxy.conf'), proxyConfig(home, port, cache));
    await start(port, 'swift-proxy-server', at('etc/proxy.conf'));
    const endpoint = `http://127.0.0.1:${port}`;
    return { endpoint, env: { ...KEYS, HOME: home, AWS_ENDPOINT_URL: endpoint }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function ring(folder: string, store: string, port: number): void {
  const builder = `${store}.builder`;
  for (const words of [
    ['create', '4', '1', '1'],
    ['add', `r1z1-127.0.0.1:${port}/sd1`, '1'],
    ['rebalance'],
  ]) {
    const { status, stdout } = spawnSync('swift-ring-builder', [builder, ...words], {
      cwd: folder,
      encoding: 'utf8',
    });
    // 1: done, with a warning.
    if (status !== 0 && status !== 1) throw new Error(`swift-ring-builder: ${stdout}`);
  }
}

const common = (home: string, port: number): string => `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = root
swift_dir = ${path.join(home, 'etc')}
devices = ${path.join(home, 'devices')}
mount_check = false
log_address = /dev/null
`;

function storeConfig(home: string, store: string, port: number): string {
  return `${common(home, port)}
[pipeline:main]
pipeline = ${store}-server
[app:${store}-server]
use = egg:swift#${store}
recon_cache_path = ${path.join(home, 'recon')}
`;
}

function proxyConfig(home: string, port: number, cache: number): string {
  const filters = ['catch_errors', 'gatekeeper', 'healthcheck', 'listing_formats', 'slo', 'dlo'];
  return `${common(home, port)}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
${filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join('')}
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cache}
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
`;
}
