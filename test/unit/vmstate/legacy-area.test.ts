import { expect, test } from 'vitest';
import { visibleRanges } from '../../../src/vmstate/legacy-area.js';
import type { RamBlock } from '../../../src/vmstate/stream.js';

const MiB = 2 ** 20;
const KiB = 2 ** 10;
const HIGH = 0xfffc0000;

/** Registers of a bridge that has put RAM in the place of all firmware, and of one that was just switched on. */
const ALL_RAM = [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33];
const ALL_ROM = [0, 0, 0, 0, 0, 0, 0];

interface Case {
  readonly what: string;
  readonly blocks: readonly (readonly [name: string, bytes: number])[];
  readonly machine?: string;
  readonly pam?: readonly number[];
  /** Address, block, offset and bytes of each range. */
  readonly visible: readonly (readonly [number, string, number, number])[];
}

const [RAM, ROM, BIOS] = [
  ['pc.ram', 2 * MiB],
  ['pc.rom', 128 * KiB],
  ['pc.bios', 256 * KiB],
] as const;
const BIOS_AT_END = [HIGH, 'pc.bios', 0, 256 * KiB] as const;

// All as QEMU's `info mtree -f` and its dumps have them.
const CASES: readonly Case[] = [
  {
    what: 'VGA, and firmware that was copied to RAM',
    blocks: [RAM, ROM, BIOS, ['0000:00:02.0/vga.vram', 16 * MiB]],
    pam: ALL_RAM,
    visible: [
      [0, 'pc.ram', 0, 0xa0000],
      [0xc0000, 'pc.ram', 0xc0000, 2 * MiB - 0xc0000],
      BIOS_AT_END,
    ],
  },
  {
    what: 'no VGA',
    blocks: [RAM, ROM, BIOS],
    pam: ALL_RAM,
    visible: [[0, 'pc.ram', 0, 2 * MiB], BIOS_AT_END],
  },
  {
    what: 'a machine that has not copied its firmware, which is short',
    blocks: [RAM, ROM, ['pc.bios', 64 * KiB]],
    pam: ALL_ROM,
    visible: [
      [0, 'pc.ram', 0, 0xc0000],
      [0xc0000, 'pc.rom', 0, 128 * KiB],
      [0xe0000, 'pc.ram', 0xe0000, 64 * KiB],
      [0xf0000, 'pc.bios', 0, 64 * KiB],
      [MiB, 'pc.ram', MiB, MiB],
      [HIGH + 192 * KiB, 'pc.bios', 0, 64 * KiB],
    ],
  },
  {
    what: 'RAM in the place of the second 16 KiB alone, and of the last 64 KiB',
    blocks: [RAM, ROM, BIOS],
    pam: [0x10, 0x10, 0, 0, 0, 0, 0],
    visible: [
      [0, 'pc.ram', 0, 0xc0000],
      [0xc0000, 'pc.rom', 0, 0x4000],
      [0xc4000, 'pc.ram', 0xc4000, 0x4000],
      [0xc8000, 'pc.rom', 0x8000, 0x18000],
      [0xe0000, 'pc.bios', 128 * KiB, 64 * KiB],
      [0xf0000, 'pc.ram', 0xf0000, MiB + 64 * KiB],
      BIOS_AT_END,
    ],
  },
  {
    what: 'a microvm, which has no bridge',
    blocks: [['microvm.ram', 2 * MiB], BIOS],
    machine: 'microvm',
    visible: [
      [0, 'microvm.ram', 0, 0xe0000],
      [0xe0000, 'pc.bios', 128 * KiB, 128 * KiB],
      [MiB, 'microvm.ram', MiB, MiB],
      BIOS_AT_END,
    ],
  },
  {
    what: 'a bridge that nobody knows has RAM, as after any firmware; a copy of flash does not count',
    blocks: [RAM, ROM, ['system.flash0', 4 * MiB], ['isa-bios', 128 * KiB]],
    machine: 'pc-q35-11.1',
    visible: [[0, 'pc.ram', 0, 2 * MiB]],
  },
];

test.each(CASES)('below 1 MiB: $what', ({ blocks, machine, pam, visible }) => {
  const all = blocks.map(([name, bytes], index): RamBlock => {
    return { index, name, bytes, mapped: undefined };
  });
  const ram = { address: 0, block: all[0]!, offset: 0, bytes: all[0]!.bytes, kind: 'ram' } as const;
  const bios = all.filter(({ name }) => name === 'pc.bios');
  const firmware = bios.map((block) => {
    const { bytes } = block;
    return { address: 2 ** 32 - bytes, block, offset: 0, bytes, kind: 'firmware' } as const;
  });
  const registers = pam && Uint8Array.from(pam);
  const ranges = visibleRanges([ram, ...firmware], all, { machine, pam: registers });
  expect(
    ranges.map(({ address, block, offset, bytes }) => [address, block.name, offset, bytes]),
  ).toEqual(visible);
});
