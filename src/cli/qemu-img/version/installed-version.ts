/** Which qemu-img is installed: asked once, and kept for as long as the program is the same file. */
import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { NEWEST, versionPrinted, VERSIONS, type Version } from './behaviour.js';

type Env = Readonly<Record<string, string | undefined>>;

/** How long a program may take to say its version. */
const PATIENCE_MS = 5000;

/**
 * The version of the first `qemu-img` of PATH that is not this program; the newest known one where there is none.
 *
 * @param ownScript the file that this process runs, whatever its name.
 */
export async function installedVersion(env: Env, ownScript: string): Promise<Version> {
  const own = realPath(ownScript);
  for (const folder of (env['PATH'] ?? '').split(path.delimiter)) {
    const program = path.join(folder, 'qemu-img');
    const real = folder === '' ? undefined : realPath(program);
    if (real === undefined || real === own) continue;
    const version = (await kept(real, env)) ?? NEWEST;
    // It may be a script that leads back here.
    if (version !== 'our own') return version;
  }
  return NEWEST;
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined;
  }
}

type Known = Version | 'our own' | undefined;

async function kept(program: string, env: Env): Promise<Known> {
  const { dev, ino, mtimeMs, size } = statSync(program);
  const key = [program, dev, ino, mtimeMs, size].join(' ');
  const file = path.join(cacheFolder(env), 'qemu-img-version');
  const known = readKept(file, key);
  if (known !== undefined) return known;
  const asked = await ask(program, env);
  if (asked !== undefined) keep(file, `${key}\n${asked}\n`);
  return asked;
}

function cacheFolder(env: Env): string {
  const given = env['XDG_CACHE_HOME'] ?? '';
  return path.join(path.isAbsolute(given) ? given : path.join(homedir(), '.cache'), 'qsnap');
}

function readKept(file: string, key: string): Known {
  try {
    const [ofKey, version] = readFileSync(file, 'utf8').split('\n');
    if (ofKey !== key) return undefined;
    return version === 'our own' ? version : VERSIONS.find((one) => one === version);
  } catch {
    return undefined;
  }
}

/** Where it can't be kept it is asked for each time. */
function keep(file: string, text: string): void {
  const made = `${file}.${process.pid}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(made, text);
    renameSync(made, file);
  } catch {
    // Nothing is lost but some milliseconds of the next run.
  }
}

async function ask(program: string, env: Env): Promise<Known> {
  // Most starts read what is kept, and need no program.
  const { spawnSync } = await import('node:child_process');
  const { stdout } = spawnSync(program, ['--version'], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    stdio: ['ignore', 'pipe', 'ignore'],
    // A script that leads back here asks nobody.
    env: { ...env, QSNAP_QEMU_VERSION: NEWEST },
  });
  if (typeof stdout !== 'string') return undefined;
  return stdout.includes('qsnap') ? 'our own' : versionPrinted(stdout);
}
