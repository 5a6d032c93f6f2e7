/** Machines whose processor is in one of the modes of x86, saved by QEMU, and what it says of them after it loaded them. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { qemuImg } from './qemu.js';
import { Machine } from './vm-machines.js';

/**
 * Code of firmware: sets registers and halts. The byte at 0xff00 tells the mode:
 *
 * - 0: real mode, with the carry flag;
 * - 1: 32 bits, with segments of several kinds, a local table, a task register, a value in the FPU and in XMM3;
 * - 2: the same in long mode, as programs of 32 bits are run by a system of 64;
 * - 3: 64 bits, with YMM registers switched on and set.
 */
const CODE = [
  'ea050000f0fa2e660f01162301bc341266bbefcdab8966bd443322112e8a1600ff80fa000f849d000f20e0660d200604',
  '0080fa0374066625fffffbff0f22e080fa02726f31c0b800108ec031ff6631c0b9000c66f3ab2666c706000003100100',
  '2666c7060010032001002666c70600208300000066b8000001000f22d866b9800000c00f32660d000100000f300f20c0',
  '660d010000800f22c02e8a1600ff80fa03740866eac9000f00080066eafc000f0030000f20c06683c8010f22c066eac9',
  '000f000800f9f4ebfc66b810008ed88ec08ed066b818008ee080fa02740e66b820000f00d866b828000f00d0d9e8660f',
  '6edbbc0000010031c0f4ebfd66b810008ed031c931d2b8070000000f01d1c5ed76d249b98877665544332211fd49f7d9',
  'f4ebfd370030010f000f1f80000000000000000000000000ffff0000009bcf00ffff00000093cf00ff005634129f0000',
  '67000000008900001700000000820000ffff0000009baf00',
].join('');

/** `-cpu` by the mode. */
const PROCESSORS = ['qemu64', 'qemu64', 'qemu64', 'max'] as const;

export interface LoadedMode {
  /** With the snapshot `saved`. */
  readonly image: string;
  /** What `info registers -a` says after `loadvm`. */
  readonly registers: string;
}

/** Lines of a monitor without what nobody sees. */
export function shownLines(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}

/** Saves a machine in the mode of this number, and loads it again. */
export async function loadedInMode(directory: string, mode: number): Promise<LoadedMode> {
  const [image, rom] = [path.join(directory, 'mode.qcow2'), path.join(directory, 'mode.rom')];
  const firmware = Buffer.alloc(65_536);
  firmware.write(CODE, 0, 'hex');
  firmware.writeUInt8(mode, 0xff00);
  // Where the processor begins: a jump to 0.
  firmware.write('e90d00', 0xfff0, 'hex');
  writeFileSync(rom, firmware);
  await qemuImg(['create', '-q', '-f', 'qcow2', image, '1M']);
  const drive = ['-drive', `file=${image},format=qcow2,if=none,id=d`];
  const devices = [...drive, '-device', 'virtio-blk-pci,drive=d', '-bios', rom];
  const machine = new Machine(['-M', 'pc', '-m', '4', '-cpu', PROCESSORS[mode]!, ...devices]);
  try {
    while (!(await machine.monitor('info registers')).includes('HLT=1')) await wait(50);
    await machine.run('stop');
    await machine.tell('savevm saved');
    await machine.tell('loadvm saved');
    return { image, registers: await machine.monitor('info registers -a') };
  } finally {
    await machine.end();
  }
}
