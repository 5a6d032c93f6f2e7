/** Machines of QEMU that are stopped and saved, and what QEMU says of the same moment. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { qemuImg } from './qemu.js';

/** The program that machines run in. `QSNAP_QEMU_SYSTEM` names that of another version. */
const QEMU_SYSTEM = process.env['QSNAP_QEMU_SYSTEM'] ?? 'qemu-system-x86_64';

/** Why no machine with firmware can be run here; undefined if one can. */
export function lackOfFirmware(): string | undefined {
  if (majorVersion() !== undefined) return undefined;
  return `${QEMU_SYSTEM} can not be run (Debian: apt install qemu-system-x86 seabios)`;
}

/** Of QEMU, such as 7; undefined where it can't be run. */
export function majorVersion(): number | undefined {
  const ran = spawnSync(QEMU_SYSTEM, ['--version'], { encoding: 'utf8' });
  const found = /version (\d+)\./.exec(ran.stdout ?? '');
  return ran.status === 0 && found !== null ? Number(found[1]) : undefined;
}

/**
 * A boot sector, without its mark: prints "qsnap was here" by the firmware, maps the first 6 GiB one to one, goes to 64 bits,
 * writes pages that tell their addresses at 16 MiB, below 2 and 3 GiB, at 4 GiB and below 5 GiB, sets registers, halts.
 */
const BOOT_SECTOR = [
  // cli; ds = ss = 0; sp = 0x7c00
  'fa31c08ed88ed0bc007cfc',
  // print the text at 0x7d0d by int 10h, ah = 0x0e
  'be0d7dac84c07409b40ebb0700cd10ebf2',
  // zeros over the tables from 0x10000 on
  'b800108ec031ff6631c0b9002066f3ab',
  // level 4 at 0x10000 leads to level 3 at 0x11000
  '2666c706000003100100',
  // level 3 leads to six tables from 0x12000 on
  'bf001066b803200100b906002666890566050010000083c708e2f1',
  // which map 6 GiB one to one by pages of 2 MiB
  'bf002066b8830000006631d2b9000c2666890526668955046605000020006683d20083c708e2e8',
  // cr3 = 0x10000; cr4: PAE, SSE; EFER: long mode
  '66b8000001000f22d80f20e0660d200600000f22e066b9800000c00f32660d000100000f30',
  // lgdt; cr0: paging, protection; far jump to 0x7cb3
  '0f0116687d0f20c0660d010000800f22c0eab37c0800',
  // ds = es = ss = 0x10
  'b8100000008ed88ec08ed0',
  // each of the places at 0x7d20: 512 words, the first its address, each 0x1234567 more
  'be207d000048ad4885c074144889c7b90002000048ab480567452301e2f6ebe5',
  // rax = 0x1122334455667788, rbx = ~rax, xmm3, r11, r8, r15 = 0xf00d, rbp = 0xdead; halt for ever
  '48b888776655443322114889c348f7d366480f6ed841bb0b00000041b80800000041bf0df00000bd',
  'adde0000f4ebfd',
  // "qsnap was here"
  '71736e6170207761732068657265000f1f4000',
  // the places: 16 MiB, below 2 and 3 GiB, 4 GiB, below 5 GiB
  '00000001000000000000f07f000000000000f0bf0000000000000000010000000000f03f01000000',
  '0000000000000000',
  // descriptors: none, code of 64 bits, data; their table
  '0000000000000000ffff0000009aaf00ffff00000092cf001700507d0000',
].join('');

/** A kind of machine. */
export interface MachineKind {
  /** Such as its type and its memory. */
  readonly options: readonly string[];
  /** Devices that show the screen and have the drive `d`. Default: those of a PC. */
  readonly devices?: readonly string[];
  /** How much of the address space is saved, from 0 on. */
  readonly memoryBytes: number;
  /** Pages are saved at fixed places. */
  readonly isMappedRam?: boolean;
}

/** What QEMU says of a stopped machine. */
export interface SavedMachine {
  /** With the snapshot `saved`. */
  readonly image: string;
  readonly registers: string;
  /** The same after `loadvm`. */
  readonly loaded: string;
  /** Core file of `dump-guest-memory`. */
  readonly core: string;
  /** `screendump` as PPM; undefined: it has no screen. */
  readonly screen: string | undefined;
  /** The first bytes of the address space, by `pmemsave`. */
  readonly memory: string;
}

const DEVICES_OF_PC = ['-vga', 'std', '-device', 'virtio-blk-pci,drive=d,id=disk,bootindex=0'];

/**
 * Makes an image of 1 MiB with the boot sector.
 *
 * @param shape options of qemu-img, such as `cluster_size=4k`.
 */
export async function bootableImage(directory: string, shape = 'compat=1.1'): Promise<string> {
  const image = path.join(directory, 'vm.qcow2');
  const raw = path.join(directory, 'boot.raw');
  const disk = Buffer.alloc(2 ** 20);
  disk.write(BOOT_SECTOR, 0, 'hex');
  disk.set([0x55, 0xaa], 510);
  writeFileSync(raw, disk);
  await qemuImg(['convert', '-f', 'raw', '-O', 'qcow2', '-o', shape, raw, image]);
  return image;
}

/** Boots a machine, waits for it to halt, stops and saves it. */
export async function saveMachine(directory: string, kind: MachineKind): Promise<SavedMachine> {
  const image = await bootableImage(directory);
  const devices = kind.devices ?? DEVICES_OF_PC;
  const drive = ['-drive', `file=${image},format=qcow2,if=none,id=d`];
  const machine = new Machine([...drive, ...devices, ...kind.options]);
  try {
    await machine.untilHalted();
    await machine.run('stop');
    const file = (name: string): string => path.join(directory, name);
    const registers = await machine.monitor('info registers -a');
    if (kind.isMappedRam === true) await machine.tell('migrate_set_capability mapped-ram on');
    await machine.tell('savevm saved');
    await machine.run('dump-guest-memory', { paging: false, protocol: `file:${file('core')}` });
    const screen = devices.includes('-vga') ? file('screen.ppm') : undefined;
    if (screen !== undefined) await machine.run('screendump', { filename: screen });
    const size = kind.memoryBytes;
    await machine.run('pmemsave', { val: 0, size, filename: file('memory') });
    await machine.tell('loadvm saved');
    const loaded = await machine.monitor('info registers -a');
    return { image, registers, loaded, core: file('core'), screen, memory: file('memory') };
  } finally {
    await machine.end();
  }
}

/** A running machine, by its monitors. */
export class Machine {
  readonly #child;
  readonly #lines;
  #isGreeted = false;

  constructor(options: readonly string[]) {
    const usual = ['-nodefaults', '-display', 'none', '-accel', 'tcg', '-qmp', 'stdio'];
    this.#child = spawn(QEMU_SYSTEM, [...usual, ...options], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async run(command: string, args: object = {}): Promise<unknown> {
    if (!this.#isGreeted) {
      this.#isGreeted = true;
      await this.run('qmp_capabilities');
    }
    this.#child.stdin.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    for (;;) {
      const line = await this.#lines.next();
      if (line.done === true) throw new Error(`${command}: the machine ended`);
      const answer = JSON.parse(line.value) as { return?: unknown; error?: { desc: string } };
      if (answer.error !== undefined) throw new Error(`${command}: ${answer.error.desc}`);
      if ('return' in answer) return answer.return;
    }
  }

  async monitor(line: string): Promise<string> {
    return String(await this.run('human-monitor-command', { 'command-line': line }));
  }

  /** A command that says nothing unless it fails. */
  async tell(line: string): Promise<void> {
    const said = await this.monitor(line);
    if (said.trim() !== '') throw new Error(`${line}: ${said}`);
  }

  /** The boot sector's last instruction has r15 = 0xf00d. */
  async untilHalted(): Promise<void> {
    for (let tries = 0; tries < 600; tries += 1) {
      const said = await this.monitor('info registers');
      if (said.includes('=000000000000f00d') && said.includes('HLT=1')) return;
      await wait(100);
    }
    throw new Error('the machine does not come to its end');
  }

  /** Lets it write what it has not written yet, and waits until it is gone. */
  async quit(): Promise<void> {
    const gone = once(this.#child, 'exit');
    await this.run('quit');
    await gone;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Pixels of a PPM file of 8 bits. */
export function pixelsOfPpm(file: string): { width: number; height: number; rgb: Uint8Array } {
  const bytes = readFileSync(file);
  const [head, width, height] = /^P6\n(\d+) (\d+)\n255\n/.exec(bytes.toString('latin1', 0, 64))!;
  return { width: Number(width), height: Number(height), rgb: bytes.subarray(head.length) };
}
