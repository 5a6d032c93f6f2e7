/** Programs that have an image open, each as a process that is held until it is ended. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describeUnless } from './left-out.js';

/** A way to have an image open. */
export interface Holder {
  readonly name: string;
  /** The program that an error must name. */
  readonly program: string;
  readonly argv: (image: string) => readonly string[];
  /** It reads and shares everything: QEMU would let a writer in. */
  readonly sharesAll?: boolean;
  /** What it prints when it has the image; or the socket that it makes beside it. */
  readonly ready: { readonly prints: string } | { readonly makes: string };
}

const SOCKET = 'nbd.sock';
const QMP = { prints: '"QMP"' };

const qemuIo = (name: string, ...options: string[]): Holder => ({
  name: `qemu-io${name}`,
  program: 'qemu-io',
  argv: (image) => ['qemu-io', ...options, image],
  ready: { prints: 'qemu-io>' },
});

const nbd = (name: string, ...options: string[]): Holder => ({
  name: `qemu-nbd${name}`,
  program: 'qemu-nbd',
  argv: (image) => {
    const socket = path.join(path.dirname(image), SOCKET);
    return ['qemu-nbd', '-t', '-k', socket, '-f', 'qcow2', ...options, image];
  },
  ready: { makes: SOCKET },
});

const daemon = (name: string, node: string, ...options: string[]): Holder => ({
  name: `qemu-storage-daemon${name}`,
  program: 'qemu-storage-daemon',
  argv: (image) => [
    ...['qemu-storage-daemon', '--chardev', 'stdio,id=m', '--monitor', 'm'],
    ...['--blockdev', `driver=qcow2,node-name=q,file.driver=file,file.filename=${image}${node}`],
    ...options.map((option) => option.replace('FOLDER', path.dirname(image))),
  ],
  ready: QMP,
});

const machine = (name: string, drive: string, ...options: string[]): Holder => ({
  name: `qemu-system-x86_64${name}`,
  program: 'qemu-system-x86_64',
  argv: (image) => [
    ...['qemu-system-x86_64', '-nodefaults', '-display', 'none', '-qmp', 'stdio', '-m', '64'],
    ...['-drive', `file=${image},format=qcow2,if=none,id=d${drive}`, ...options],
  ],
  ready: QMP,
});

const DISK = ['-M', 'pc', '-device', 'virtio-blk-pci,drive=d'];

/** qemu-io and qemu-nbd: of the package that qemu-img is in. */
export const TOOLS: readonly Holder[] = [
  qemuIo(''),
  qemuIo(' -r', '-r'),
  { ...qemuIo(' -r -U', '-r', '-U'), sharesAll: true },
  nbd(''),
  nbd(' -r', '-r'),
];

export const DAEMONS: readonly Holder[] = [
  daemon('', ''),
  daemon(' read-only', ',read-only=on'),
  daemon(
    ' with a writable export',
    '',
    ...['--nbd-server', 'addr.type=unix,addr.path=FOLDER/nbd.sock'],
    ...['--export', 'type=nbd,id=e,node-name=q,writable=on'],
  ),
];

export const MACHINES: readonly Holder[] = [
  machine(', a drive alone', '', '-M', 'none'),
  machine(', stopped', '', ...DISK, '-S'),
  machine(', running', '', ...DISK),
  machine(', read-only', ',readonly=on', ...DISK, '-S'),
  machine(', share-rw=on', '', '-M', 'pc', '-device', `virtio-blk-pci,drive=d,share-rw=on`, '-S'),
];

function lackOf(holders: readonly Holder[], debianPackage: string): string | undefined {
  const { program } = holders[0]!;
  const { status } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  return status === 0 ? undefined : `${program} is not installed (Debian: ${debianPackage})`;
}

/** `describe` for each kind of holder; see `describeUnless`. */
export function describeHolders(fn: (holders: readonly Holder[]) => void): void {
  for (const [holders, debianPackage, required] of [
    [TOOLS, 'qemu-utils', 'QSNAP_REQUIRE_QEMU'],
    [DAEMONS, 'qemu-system-common', 'QSNAP_REQUIRE_MACHINES'],
    [MACHINES, 'qemu-system-x86', 'QSNAP_REQUIRE_MACHINES'],
  ] as const) {
    const lack = lackOf(holders, debianPackage);
    describeUnless(lack, required, holders[0]!.program, () => {
      fn(holders);
    });
  }
}

const children: ChildProcess[] = [];

/** Starts the program and waits until it has the image. */
export async function hold(holder: Holder, image: string): Promise<ChildProcess> {
  const argv = holder.argv(image);
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  const { ready } = holder;
  const isReady = (): boolean =>
    'prints' in ready
      ? said.includes(ready.prints)
      : existsSync(path.join(path.dirname(image), ready.makes));
  for (let tries = 0; !isReady(); tries += 1) {
    if (child.exitCode !== null || tries > 1000) throw new Error(`${argv.join(' ')}: ${said}`);
    await wait(10);
  }
  return child;
}

/** Ends all holders, the hard way. */
export async function endHolders(): Promise<void> {
  await Promise.all(
    children.splice(0).map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }),
  );
}
