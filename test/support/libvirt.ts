/** A daemon of libvirt of its own, as that of a user without privileges: what it keeps lies in one folder. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { temporaryDirectory } from './directories.js';
import { describeUnless } from './left-out.js';
import { NOBODY } from './other-user.js';
import { ended } from './ports.js';

const PACKAGES = 'libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86';

/** `QSNAP_LIBVIRTD` names another daemon, such as a script that starts one that is not installed. */
const DAEMON = process.env['QSNAP_LIBVIRTD'] ?? '/usr/sbin/libvirtd';
const VIRSH = process.env['QSNAP_VIRSH'] ?? '/usr/bin/virsh';
const MACHINE = '/usr/bin/qemu-system-x86_64';

/** `describe` for tests with libvirt; where `QSNAP_REQUIRE_LIBVIRT=1` is set they fail without. */
export function describeWithLibvirt(name: string, fn: () => void): void {
  const lacks = [DAEMON, VIRSH, MACHINE].filter((program) => !existsSync(program));
  const lack =
    lacks.length === 0
      ? undefined
      : `${lacks.join(', ')} missing (Debian: apt install --no-install-recommends ${PACKAGES})`;
  describeUnless(lack, 'QSNAP_REQUIRE_LIBVIRT', name, fn);
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Libvirt {
  /** Where images may lie: the daemon's user may write there. */
  readonly folder: string;
  /** As `QSNAP_LIBVIRT` has it. */
  readonly config: string;
  /** Runs a shell's line as the daemon's user; `virsh` asks this daemon. */
  readonly shell: (line: string) => Ran;
  /** The calls of qemu-img since this was last asked: exit code and arguments of each. */
  readonly calls: () => readonly string[];
  readonly stop: () => Promise<void>;
}

/**
 * @param qemuImg what the daemon finds as `qemu-img`.
 * @param version that `qsnap-img` follows.
 */
export async function startLibvirt(qemuImg: string, version: string): Promise<Libvirt> {
  const home = temporaryDirectory();
  const at = (...names: readonly string[]): string => path.join(home, ...names);
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  for (const folder of ['', 'run', 'bin', 'images', 'tool']) {
    mkdirSync(at(folder), { recursive: true });
    if (user.uid !== undefined) chownSync(at(folder), user.uid, user.gid);
  }
  writeFileSync(
    at('bin/qemu-img'),
    `#!/bin/sh\n'${qemuImg}' "$@"\ncode=$?\nprintf '%s\\n' "$code $*" >>'${at('images/calls')}'\nexit $code\n`,
  );
  writeFileSync(at('bin/virsh'), `#!/bin/sh\nexec '${VIRSH}' -c qemu:///session "$@"\n`);
  for (const program of ['qemu-img', 'virsh']) chmodSync(at('bin', program), 0o755);
  const env = {
    ...{ LC_ALL: 'C', TZ: 'UTC', HOME: home, QSNAP_QEMU_VERSION: version },
    ...{ XDG_RUNTIME_DIR: at('run'), XDG_CONFIG_HOME: at('config'), XDG_CACHE_HOME: at('cache') },
    PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`,
  };
  const daemon = spawn(DAEMON, [], { env, cwd: home, stdio: 'ignore', ...user });
  const shell = (line: string): Ran => {
    const options = { env, cwd: home, encoding: 'utf8', timeout: 60_000, ...user } as const;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', line], options);
    return { code: status, stdout, stderr };
  };
  await answering(shell, daemon);
  let seen = 0;
  return {
    folder: at('images'),
    config: at('config/libvirt/qemu'),
    shell,
    calls: () => {
      const file = at('images/calls');
      const all = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
      const fresh = all.slice(seen);
      seen = all.length;
      return fresh;
    },
    stop: () => ended(daemon),
  };
}

async function answering(shell: (line: string) => Ran, daemon: ChildProcess): Promise<void> {
  for (let i = 0; i < 150; i++) {
    if (daemon.exitCode !== null) break;
    if (shell('virsh -q version').code === 0) return;
    await setTimeout(200);
  }
  await ended(daemon);
  throw new Error(`libvirt did not start: ${shell('virsh version').stderr}`);
}
