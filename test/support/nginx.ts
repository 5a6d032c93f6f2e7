/** A real web server: Debian's nginx, with a folder of its own and one process. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryDirectory } from './directories.js';
import { freePort, ended, listening } from './ports.js';
import { describeUnless } from './left-out.js';

const PROGRAM = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((file) => existsSync(file));

/**
 * `describe` for tests with nginx. Without it they are reported as skipped, with a line that says so; where
 * `QSNAP_REQUIRE_SERVERS=1` is set they fail.
 */
export function describeWithNginx(name: string, fn: () => void): void {
  const lack =
    PROGRAM === undefined ? 'nginx is not installed (Debian: apt install nginx-light)' : undefined;
  describeUnless(lack, 'QSNAP_REQUIRE_SERVERS', name, fn);
}

export interface Nginx {
  /** Of the folder that it serves. */
  readonly url: string;
  readonly folder: string;
  /** Status and Range of each request so far, as its log has them. */
  readonly requests: () => readonly string[];
  stop(): Promise<void>;
}

/** @param more lines of its configuration. */
export async function startNginx(more = ''): Promise<Nginx> {
  const home = temporaryDirectory();
  const at = (name: string): string => path.join(home, name);
  mkdirSync(at('served'));
  const port = await freePort();
  const stores = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const config = `
daemon off; master_process off; pid ${at('pid')}; error_log ${at('errors')};
events { worker_connections 64; }
http {
  ${stores.map((name) => `${name}_temp_path ${at(name)};`).join(' ')}
  log_format ranges '$status $http_range'; access_log ${at('log')} ranges;
  server { listen 127.0.0.1:${port}; root ${at('served')}; ${more} }
}
`;
  writeFileSync(at('config'), config);
  const child = spawn(PROGRAM!, ['-c', at('config')], { stdio: 'ignore' });
  await listening(port, child);
  return {
    url: `http://127.0.0.1:${port}`,
    folder: at('served'),
    requests: () => readFileSync(at('log'), 'utf8').split('\n').slice(0, -1),
    stop: () => ended(child),
  };
}
