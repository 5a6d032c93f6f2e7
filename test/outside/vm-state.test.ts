/** VM state that a running QEMU saved: memory, core files, registers and screen equal what QEMU says of the same moment. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openImage, openVmState, type VmState } from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { elfMemoryFile, type MemoryFile } from '../../src/vmstate/memory-files.js';
import { memoryDirectory, temporaryDirectory } from '../support/directories.js';
import { describeUnless } from '../support/left-out.js';
import {
  lackOfFirmware,
  pixelsOfPpm,
  saveMachine,
  type SavedMachine,
} from '../support/vm-machines.js';
import { qsnap } from '../cli/qsnap/harness.js';

const MiB = 2 ** 20;
const VGA_WINDOW = [0xa0000, 0xc0000] as const;

interface Kind {
  readonly name: string;
  readonly options: readonly string[];
  readonly memoryBytes: number;
  readonly cpus: number;
}

const SMALL: readonly Kind[] = [
  { name: 'pc', options: ['-M', 'pc', '-m', '32'], memoryBytes: 32 * MiB, cpus: 1 },
  {
    name: 'q35, 2 processors',
    options: ['-M', 'q35', '-m', '32', '-smp', '2'],
    memoryBytes: 32 * MiB,
    cpus: 2,
  },
];
const LARGE: readonly Kind[] = [
  { name: 'pc, 5 GiB', options: ['-M', 'pc', '-m', '5G'], memoryBytes: 64 * MiB, cpus: 1 },
  {
    name: 'q35, 5 GiB, 4 processors',
    options: ['-M', 'q35', '-m', '5G', '-smp', '4', '-cpu', 'max'],
    memoryBytes: 64 * MiB,
    cpus: 4,
  },
  {
    name: 'pc, split at 1 GiB',
    options: ['-M', 'pc,max-ram-below-4g=1G', '-m', '1536'],
    memoryBytes: 64 * MiB,
    cpus: 1,
  },
  { name: 'pc, 8 MiB', options: ['-M', 'pc', '-m', '8'], memoryBytes: 8 * MiB, cpus: 1 },
];
const KINDS = process.env['QSNAP_THOROUGH'] === '1' ? [...SMALL, ...LARGE] : SMALL;

/** Names and values of registers, as a monitor prints them: of each processor the common ones. */
function registersIn(text: string): Record<string, string>[] {
  return text
    .split(/CPU#\d+/)
    .slice(1)
    .map((one) => {
      const found = one.matchAll(
        /\b((?:[RE][A-Z][A-Z]|R\d+|[CDEFGS]S|LDT|TR|[GI]DT|CR\d|DR\d|EFER|FCW|FSW|FTW|MXCSR|FPR\d|XMM\d\d|HLT)) *= *([0-9a-f]+(?: [0-9a-f]+)*)/g,
      );
      return Object.fromEntries(
        Array.from(found, ([, name, value]) => {
          // In a mode of 32 bits a monitor has shorter names and values.
          const long = name!.replace(/^E(?=[A-Z]{2}$)/, 'R').replace('RFL', 'RFLAGS');
          const words = value!.split(' ').map((word) => BigInt(`0x${word}`).toString(16));
          return [long, words.join(' ')];
        }),
      );
    });
}

/** The first bytes of a file. */
function beginningOf(file: string, length: number): Buffer {
  const descriptor = openSync(file, 'r');
  const bytes = Buffer.alloc(length);
  readSync(descriptor, bytes, 0, length, 0);
  closeSync(descriptor);
  return bytes;
}

/** What a core file has from its notes on, and where its segments lie. */
function coreOf(file: Buffer): { segments: unknown[]; notes: Buffer; memoryAt: number } {
  const count = file.readUInt16LE(56);
  const segments = Array.from({ length: count }, (_, i) => {
    const at = 192 + i * 56;
    const words = [8, 16, 24, 32, 40].map((field) => file.readBigUInt64LE(at + field));
    return [file.readUInt32LE(at), ...words];
  });
  const [, at, , , bytes] = segments[0] as bigint[];
  const notesEnd = Number(at) + Number(bytes);
  return { segments, notes: file.subarray(Number(at), notesEnd), memoryAt: notesEnd };
}

async function compareMemory(state: VmState, file: MemoryFile, core: string): Promise<void> {
  const descriptor = openSync(core, 'r');
  try {
    for await (const placed of state.memory(file.placements)) {
      for (const { at, bytes } of placed) {
        const there = Buffer.alloc(bytes.length);
        readSync(descriptor, there, 0, bytes.length, at);
        expect(Buffer.compare(there, bytes), `the core file at ${at}`).toBe(0);
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

describeUnless(lackOfFirmware(), 'QSNAP_REQUIRE_MACHINES', 'VM state of machines', () => {
  for (const { name, options, memoryBytes, cpus } of KINDS) {
    describeUnless(undefined, '', name, () => {
      let saved: SavedMachine;
      beforeAll(async () => {
        const isLarge = memoryBytes === 64 * MiB;
        const directory = isLarge ? temporaryDirectory() : memoryDirectory();
        saved = await saveMachine(directory, options, memoryBytes);
      }, 300_000);
      // A core of 5 GiB is no hole: it takes its time to go.
      afterAll(() => {
        rmSync(saved.core, { force: true });
      }, 120_000);

      test('memory is what pmemsave has, but where VGA hides it', async () => {
        const out = path.join(temporaryDirectory(), 'memory.raw');
        const ran = await qsnap(['vmstate', saved.image, 'saved', 'memory', '-o', out]);
        expect(ran).toMatchObject({ code: 0, stderr: '' });
        const theirs = readFileSync(saved.memory);
        const ours = beginningOf(out, theirs.length);
        for (const one of [ours, theirs]) one.fill(0, ...VGA_WINDOW);
        expect(Buffer.compare(ours, theirs)).toBe(0);
        // What the boot sector wrote; the machine had not come that far otherwise.
        if (memoryBytes > 16 * MiB)
          expect(ours.readUInt32LE(16 * MiB + 8)).toBe(0x1000000 + 0x1234567);
      });

      test('an ELF core has the notes, the segments and the memory of dump-guest-memory', async () => {
        const source = await openFile(saved.image);
        const image = await openImage(source);
        const state = await openVmState(image, image.snapshots[0]!);
        try {
          const file = elfMemoryFile(await state.memoryMap(), await state.registers());
          const head = Buffer.from(file.heads[0]!.bytes);
          const theirs = beginningOf(saved.core, head.length);
          expect(coreOf(head)).toEqual(coreOf(theirs));
          expect(file.fileBytes).toBe(statSync(saved.core).size);
          await compareMemory(state, file, saved.core);
        } finally {
          await state.close();
          await source.close();
        }
      });

      test('readelf and gdb take the ELF core', async () => {
        const out = path.join(temporaryDirectory(), 'memory.core');
        const argv = ['vmstate', saved.image, 'saved', 'memory', '-f', 'elf', '-o', out];
        expect(await qsnap(argv)).toMatchObject({ code: 0, stderr: '' });
        const elf = spawnSync('readelf', ['-h', '-l', '-n', out], { encoding: 'utf8' });
        expect(elf.stderr).toBe('');
        expect(elf.stdout).toContain('CORE (Core file)');
        const commands = ['info threads', 'p/x $rax'].flatMap((command) => ['-ex', command]);
        const gdb = spawnSync('gdb', ['-batch', '-nx', ...commands, '-c', out], {
          encoding: 'utf8',
        });
        if (gdb.error === undefined) expect(gdb.stdout).toContain('$1 = 0x1122334455667788');
      });

      test('registers are those of `info registers`', async () => {
        const { stdout } = await qsnap(['vmstate', saved.image, 'saved', 'regs']);
        const [ours, theirs] = [registersIn(stdout), registersIn(saved.registers)];
        expect(ours).toHaveLength(cpus);
        expect(theirs).toHaveLength(cpus);
        expect(theirs[0]!['RBX']).toBe('eeddccbbaa998877');
        for (const [i, one] of theirs.entries()) expect(ours[i]).toMatchObject(one);
      });

      test('the screen is that of screendump, but for the cursor', async () => {
        const { stdout } = await qsnap(['vmstate', saved.image, 'saved', 'screen', '--text']);
        expect(stdout).toContain('\nqsnap was here\n');
        const source = await openFile(saved.image);
        const image = await openImage(source);
        const state = await openVmState(image, image.snapshots[0]!);
        const { picture } = await state.screen();
        await state.close();
        await source.close();
        const theirs = pixelsOfPpm(saved.screen);
        expect(picture).toMatchObject({ width: theirs.width, height: theirs.height });
        const differ = theirs.rgb.filter((byte, i) => byte !== picture!.rgb[i]).length;
        // A cursor of two lines of nine pixels.
        expect(differ).toBeLessThanOrEqual(2 * 9 * 3);
      });

      test('the stream has the length that QEMU tells, and ends with its description', async () => {
        const out = path.join(temporaryDirectory(), 'stream');
        const argv = ['vmstate', saved.image, 'saved', 'extract', '-o', out];
        expect(await qsnap(argv)).toMatchObject({ code: 0, stderr: '' });
        const stream = readFileSync(out);
        const source = await openFile(saved.image);
        const image = await openImage(source);
        expect(stream.length).toBe(image.snapshots[0]!.vmStateBytes);
        await source.close();
        expect([stream.toString('latin1', 0, 4), stream.at(-1)]).toEqual(['QEVM', 0x7d]);
      });
    });
  }
});
