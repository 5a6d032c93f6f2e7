/** A PostgreSQL server of its own: Debian's, in a throw-away folder, on this machine alone. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A running server, which nobody else knows. */
export interface Postgres {
  /** Of an empty database. */
  readonly url: string;
  /** Ends it and removes all that it wrote. */
  stop(): Promise<void>;
  /** Ends it as a loss of power would end it: nobody is told, nothing is written any more. */
  kill(): void;
  /** Starts it again with what was committed, at the same address. */
  restart(): Promise<void>;
}

/** Debian puts each version into a folder of its own; `QSNAP_POSTGRES` names another one with the programs. */
const VERSIONS = '/usr/lib/postgresql';
/** Debian and most others: the user "nobody". The server refuses to run as root. */
const NOBODY = 65534;
const PATIENCE_MS = 30_000;
const STEP_MS = 25;

/** Why there is no server here; undefined where there is one. */
export function lackOfPostgres(): string | undefined {
  return programs() === undefined
    ? 'PostgreSQL is not installed (Debian: apt install postgresql)'
    : undefined;
}

/**
 * Starts a server. It takes a second or two.
 *
 * @returns undefined where none is installed; told in a line.
 * @throws Error where none is installed and `QSNAP_REQUIRE_POSTGRES=1` is set.
 */
export async function startPostgres(): Promise<Postgres | undefined> {
  const lack = lackOfPostgres();
  if (lack !== undefined) {
    if (process.env['QSNAP_REQUIRE_POSTGRES'] === '1') throw new Error(lack);
    process.stderr.write(`skipped: what needs a database server: ${lack}\n`);
    return undefined;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'qsnap-postgres-'));
  const owner = ownerOf(folder);
  const data = path.join(folder, 'data');
  const made = spawnSync(
    path.join(programs()!, 'initdb'),
    ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C'],
    { ...owner, encoding: 'utf8', cwd: folder },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let server = await started(folder, owner, port, url);
  const leaveNothing = (): void => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', leaveNothing);
  return {
    url,
    kill: () => {
      server.kill('SIGKILL');
    },
    restart: async () => {
      await ended(server);
      server = await started(folder, owner, port, url);
    },
    stop: async () => {
      process.off('exit', leaveNothing);
      server.kill('SIGQUIT');
      await ended(server);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function programs(): string | undefined {
  const named = process.env['QSNAP_POSTGRES'];
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const folders = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => path.join(VERSIONS, version, 'bin'));
  return [...(named === undefined ? [] : [named]), ...folders].find((one) =>
    existsSync(path.join(one, 'initdb')),
  );
}

interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/** Whom the server runs as. */
function ownerOf(folder: string): Owner {
  if (process.geteuid?.() !== 0) return {};
  chownSync(folder, NOBODY, NOBODY);
  return { uid: NOBODY, gid: NOBODY };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return (address as { port: number }).port;
}

/** Tests wait for no medium: what a killed process wrote, the system keeps. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  shared_buffers: '64MB',
  max_connections: '60',
  logging_collector: 'off',
} as const;

async function started(
  folder: string,
  owner: Owner,
  port: number,
  url: string,
): Promise<ChildProcess> {
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const log = path.join(folder, 'log');
  const begin = (): ChildProcess =>
    spawn(
      'sh',
      ['-c', `exec "$0" "$@" 2>>"${log}"`, path.join(programs()!, 'postgres')].concat(
        ['-D', path.join(folder, 'data')],
        settings,
      ),
      { ...owner, cwd: folder, stdio: 'ignore' },
    );
  const deadline = Date.now() + PATIENCE_MS;
  let server = begin();
  while (Date.now() < deadline) {
    if (await answers(url)) return server;
    await sleep(STEP_MS);
    // Processes of a server that was killed may still be there for a moment.
    if (server.exitCode !== null) server = begin();
  }
  server.kill('SIGKILL');
  throw new Error(`the server does not start: ${readFileSync(log, 'utf8').slice(-2000)}`);
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

/** Waits for the end of a process. */
async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  await new Promise((resolve) => server.once('exit', resolve));
}
