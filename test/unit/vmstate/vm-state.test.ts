import { expect, test } from 'vitest';
import { findSnapshot } from '../../../src/edit/snapshot/find.js';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import {
  openVmState,
  placesAt,
  placesInBlock,
  type VmState,
} from '../../../src/read/vmstate/vm-state.js';
import type { DeviceDescription } from '../../../src/vmstate/description.js';
import { DeviceData } from '../../../src/vmstate/device.js';
import {
  elfMemoryFile,
  limeMemoryFile,
  paddedMemoryFile,
  rawMemoryFile,
} from '../../../src/vmstate/memory-files.js';
import { pixelPicture, screenBytes, screenMode, textScreen } from '../../../src/vmstate/screen.js';
import { FONT_PLANE_BYTES, textPicture } from '../../../src/vmstate/text-picture.js';
import { loadFixture } from '../../support/fixture.js';

const MiB = 2 ** 20;

async function openSaved(name: string): Promise<VmState> {
  const image = await openImage(memoryDevice(loadFixture('vm-state')));
  return openVmState(image, findSnapshot(image.snapshots, name));
}

test('a machine that QEMU saved: registers, memory and what a core file has of both', async () => {
  const state = await openSaved('running');
  const map = await state.memoryMap();
  const cpus = await state.registers();
  expect(cpus).toMatchObject([
    { cpu: 0, rip: 0xfff1n, isHalted: true, control: [0x60000010n, 0n, 0n, 0n] },
  ]);
  expect(cpus[0]!.fpu.registers).toHaveLength(8);
  expect(cpus[0]!.xmm).toHaveLength(16);
  const [ram, , bios] = state.survey.blocks;
  const word = await state.readMemory(placesAt(map, MiB, 8), 8);
  expect([...word].reverse().map((byte) => byte.toString(16))).toEqual([
    '99',
    'aa',
    'bb',
    'cc',
    'dd',
    'ee',
    'ff',
    '0',
  ]);
  expect([...(await state.readMemory(placesInBlock(bios!, 5, 2), 2))]).toEqual([0xf4, 0xf4]);
  expect(() => placesAt(map, 2 * MiB - 1, 2)).toThrow(/is not all memory/);
  expect(() => placesInBlock(ram!, 2 * MiB, 1)).toThrow(/the RAM block ends before/);
  await expect(state.readMemory([], 2 ** 30)).rejects.toMatchObject({ code: 'RANGE_INVALID' });
  await expect(state.screen()).rejects.toMatchObject({ code: 'VM_STATE_NOT_FOUND' });
  const elf = elfMemoryFile(map, cpus);
  const head = new DataView(elf.heads[0]!.bytes.buffer);
  // A note and six segments; rip is the 17th word of the notes' first registers.
  expect(head.getUint16(56, true)).toBe(7);
  const notesAt = 192 + 7 * 56;
  expect(head.getBigUint64(notesAt + 20 + 112 + 16 * 8, true)).toBe(0xfff1n);
  const memory = rawMemoryFile([ram!]).fileBytes + bios!.bytes;
  expect(elf.fileBytes).toBe(elf.heads[0]!.bytes.length + memory + 11);
  expect(paddedMemoryFile(map).fileBytes).toBe(2 ** 32);
  expect(limeMemoryFile(map).fileBytes).toBe(6 * 32 + memory);
  await state.close();
});

test('a snapshot without VM state has none', async () => {
  await expect(openSaved('disk only')).rejects.toMatchObject({ code: 'VM_STATE_NOT_FOUND' });
});

/** A VGA device with these fields. */
function vgaOf(fields: Readonly<Record<string, readonly number[]>>): DeviceData {
  const bytes: number[] = [];
  const described = Object.entries(fields).map(([name, values]) => {
    const field = { path: `vga/${name}`, type: 'buffer', at: bytes.length, bytes: values.length };
    bytes.push(...values);
    return { ...field, elements: 1 };
  });
  const registers = described.find(({ path }) => path === 'vga/vbe_regs');
  if (registers !== undefined) Object.assign(registers, { bytes: 2, elements: 10 });
  const device: DeviceDescription = {
    ...{
      name: 'x/vga',
      instance: 0,
      kind: 'vga',
      version: 2,
      subsections: [],
      bytes: bytes.length,
    },
    fields: described,
  };
  return new DeviceData(Uint8Array.from(bytes), device);
}

const set = (length: number, values: Readonly<Record<number, number>>): number[] =>
  Array.from({ length }, (_, i) => values[i] ?? 0);

// Four columns and two rows of 2 lines, from the third cell on; a row takes 8 cells.
const TEXT = {
  gr: set(16, {}),
  cr: set(256, { 1: 3, 9: 1, 0x12: 3, 0x13: 4, 0x0d: 2 }),
  sr: set(8, { 1: 1 }),
  ar: set(21, { 7: 7 }),
  palette: set(768, { 21: 0x2a, 22: 0x15, 23: 0 }),
};

test('a screen in text mode: characters of code page 437, drawn with the font beside them', () => {
  const mode = screenMode(vgaOf(TEXT));
  if (mode.kind !== 'text') throw new Error(mode.kind);
  expect(mode).toMatchObject({ columns: 4, rows: 2, at: 8, lineBytes: 32 });
  expect(screenBytes(mode)).toBe(64);
  const memory = new Uint8Array(64);
  memory.set([0x41, 7, 0, 0, 0x81, 7, 0, 0, 0x03, 7], 0);
  memory.set([0x42, 7], 32);
  expect(textScreen(mode, memory)).toEqual(['Aü♥', 'B']);
  const fonts = new Uint8Array(FONT_PLANE_BYTES);
  expect(textPicture(mode, mode.font, memory, fonts)).toBeUndefined();
  // The second line of an A has its first and last pixel.
  fonts[(0x41 * 32 + 1) * 4 + 2] = 0x81;
  const picture = textPicture(mode, mode.font, memory, fonts)!;
  expect(picture).toMatchObject({ width: 32, height: 4 });
  const lit = Array.from({ length: 32 * 4 }, (_, i) => i).filter((i) => picture.rgb[i * 3] !== 0);
  expect(lit).toEqual([32, 39]);
  // 6 bits become 8.
  expect([...picture.rgb.subarray(96, 99)]).toEqual([0xa8, 0x57, 0]);
});

const vbe = (...registers: number[]): number[] =>
  Array.from({ length: 10 }, (_, i) => [
    (registers[i] ?? 0) >> 8,
    (registers[i] ?? 0) & 0xff,
  ]).flat();

test('a screen of pixels: blue comes first, and lines may be longer than what is seen', () => {
  const fields = { ...TEXT, vbe_start_addr: [0, 0, 0, 2], vbe_line_offset: [0, 0, 0, 12] };
  const mode = screenMode(vgaOf({ ...fields, vbe_regs: vbe(0, 2, 2, 32, 0x41) }));
  if (mode.kind !== 'pixels') throw new Error(mode.kind);
  expect(mode).toMatchObject({ width: 2, height: 2, at: 8, lineBytes: 12 });
  expect(screenBytes(mode)).toBe(24);
  const memory = Uint8Array.from({ length: 24 }, (_, i) => i);
  expect([...pixelPicture(mode, memory).rgb]).toEqual([2, 1, 0, 6, 5, 4, 14, 13, 12, 18, 17, 16]);
});

test.each([
  [{}, 'no registers of VGA'],
  [{ ...TEXT, gr: set(16, { 6: 1 }) }, 'with planes'],
  [{ ...TEXT, vbe_regs: vbe(0, 640, 480, 8, 1) }, '8 bits a pixel'],
  [{ ...TEXT, vbe_regs: vbe(0, 640, 480, 32, 1), vbe_line_offset: [0, 0, 0, 4] }, 'tell no size'],
])('a screen that can not be shown: %#', (fields, reason) => {
  const mode = screenMode(vgaOf(fields));
  expect(mode.kind === 'unknown' ? mode.reason : mode.kind).toContain(reason);
});
