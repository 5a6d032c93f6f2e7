/** VM state that a running QEMU saved: memory, core files, registers and screen equal what QEMU says of the same moment. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openImage, openVmState, type Snapshot, type VmState } from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { elfMemoryFile, type MemoryFile } from '../../src/vmstate/memory-files.js';
import { memoryDirectory, temporaryDirectory } from '../support/directories.js';
import { describeUnless } from '../support/left-out.js';
import {
  beginningOf,
  coreOf,
  endOf,
  expectDescriptionAtEnd,
  registersIn,
} from '../support/vm-judges.js';
import { machineKinds } from '../support/vm-kinds.js';
import {
  lackOfFirmware,
  pixelsOfPpm,
  saveMachine,
  type SavedMachine,
} from '../support/vm-machines.js';
import { loadedInMode, shownLines } from '../support/vm-modes.js';
import { qsnap } from '../cli/qsnap/harness.js';

const MiB = 2 ** 20;
const VGA_WINDOW = [0xa0000, 0xc0000] as const;
const FIRMWARE = [0xc0000, 0x100000] as const;

/** Does something with the VM state of an image's only snapshot. */
async function withState<T>(
  file: string,
  use: (state: VmState, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const source = await openFile(file);
  try {
    const image = await openImage(source);
    const state = await openVmState(image, image.snapshots[0]!);
    try {
      return await use(state, image.snapshots[0]!);
    } finally {
      await state.close();
    }
  } finally {
    await source.close();
  }
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
  for (const kind of machineKinds()) {
    const { memoryBytes, cpus } = kind;
    describeUnless(undefined, '', kind.name, () => {
      let saved: SavedMachine;
      beforeAll(async () => {
        const isLarge = memoryBytes === 64 * MiB;
        const directory = isLarge ? temporaryDirectory() : memoryDirectory();
        saved = await saveMachine(directory, kind);
      }, 300_000);
      // A core of 5 GiB is no hole: it takes its time to go.
      afterAll(() => {
        rmSync(saved.core, { force: true });
      }, 120_000);

      test('memory is what pmemsave has, but where VGA hides it', async () => {
        const theirs = readFileSync(saved.memory);
        const written = async (format: string): Promise<Buffer> => {
          const out = path.join(temporaryDirectory(), format);
          const argv = ['vmstate', saved.image, 'saved', 'memory', '-f', format, '-o', out];
          expect(await qsnap(argv)).toMatchObject({ code: 0, stderr: '' });
          return beginningOf(out, theirs.length);
        };
        const [raw, padded] = [await written('raw'), await written('padded')];
        if (saved.screen !== undefined) {
          for (const one of [raw, padded, theirs]) one.fill(0, ...VGA_WINDOW);
        }
        expect(Buffer.compare(padded, theirs)).toBe(0);
        // RAM as it is, whatever firmware lies over it.
        for (const one of [raw, theirs]) one.fill(0, ...FIRMWARE);
        expect(Buffer.compare(raw, theirs)).toBe(0);
        // What the boot sector wrote; the machine had not come that far otherwise.
        if (memoryBytes > 16 * MiB) {
          expect(raw.readUInt32LE(16 * MiB + 8)).toBe(0x1000000 + 0x1234567);
        }
      });

      test('an ELF core has the notes, the segments and the memory of dump-guest-memory', async () => {
        await withState(saved.image, async (state) => {
          const file = elfMemoryFile(await state.memoryMap(), await state.registers());
          const head = Buffer.from(file.heads[0]!.bytes);
          const theirs = beginningOf(saved.core, head.length);
          expect(coreOf(head)).toEqual(coreOf(theirs));
          // QEMU says that the first header has 8 bytes; it has 64.
          theirs.writeUInt16LE(64, 52);
          expect(Buffer.compare(head, theirs)).toBe(0);
          expect(file.fileBytes).toBe(statSync(saved.core).size);
          await compareMemory(state, file, saved.core);
          const { bytes: tail } = file.heads[1]!;
          expect(Buffer.compare(endOf(saved.core, tail.length), tail)).toBe(0);
        });
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
        // To the letter they are those of a machine that was loaded.
        expect(shownLines(stdout)).toEqual(shownLines(saved.loaded));
      });

      test('the screen is that of screendump, but for the cursor', async () => {
        const { stdout, stderr } = await qsnap([
          ...['vmstate', saved.image, 'saved', 'screen', '--text'],
        ]);
        if (saved.screen === undefined) {
          expect(stderr).toContain('no screen that can be shown');
          return;
        }
        expect(stdout).toContain('\nqsnap was here\n');
        const { picture } = await withState(saved.image, (state) => state.screen());
        const theirs = pixelsOfPpm(saved.screen);
        expect(picture).toMatchObject({ width: theirs.width, height: theirs.height });
        const differ = theirs.rgb.filter((byte, i) => byte !== picture!.rgb[i]).length;
        // A cursor of two lines of nine pixels.
        expect(differ).toBeLessThanOrEqual(2 * 9 * 3);
      });

      test('the stream ends with its description, at the length that QEMU tells', async () => {
        const out = path.join(temporaryDirectory(), 'stream');
        const argv = ['vmstate', saved.image, 'saved', 'extract', '-o', out];
        expect(await qsnap(argv)).toMatchObject({ code: 0, stderr: '' });
        const told = await withState(saved.image, (_, { vmStateBytes }) =>
          Promise.resolve(vmStateBytes),
        );
        const length = statSync(out).size;
        // With mapped-ram QEMU tells how much it has written last, and pages lie behind that.
        if (kind.isMappedRam === true) expect(length).toBeGreaterThan(told);
        else expect(length).toBe(told);
        expect(beginningOf(out, 4).toString()).toBe('QEVM');
        expectDescriptionAtEnd(endOf(out, 256 * 1024));
      });
    });
  }

  // All were printed as those of code of 64 bits, and segments without what their descriptors say.
  test.each([
    [0, 'real mode', 'EIP'],
    [1, '32 bits', 'EIP'],
    [2, '32 bits in long mode', 'EIP'],
    [3, '64 bits with YMM registers', 'RIP'],
  ])(
    'registers of a processor in mode %i are printed as QEMU does: %s',
    async (mode, _, pointer) => {
      const { image, registers } = await loadedInMode(temporaryDirectory(), mode);
      expect(registers).toContain(`${pointer}=`);
      const { code, stdout, stderr } = await qsnap(['vmstate', image, 'saved', 'regs']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(shownLines(stdout)).toEqual(shownLines(registers));
    },
    60_000,
  );
});
