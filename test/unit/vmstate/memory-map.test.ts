import { expect, test } from 'vitest';
import { mapMemory } from '../../../src/vmstate/memory-map.js';
import type { RamBlock } from '../../../src/vmstate/stream.js';

const GiB = 2 ** 30;
const MiB = 2 ** 20;

function blocksOf(...blocks: readonly (readonly [name: string, bytes: number])[]): RamBlock[] {
  return blocks.map(([name, bytes], index) => ({ index, name, bytes, mapped: undefined }));
}

/** The clock's memory of a PC with so much RAM below and above 4 GiB. */
function cmosOf(low: number, above: number): Uint8Array {
  const cmos = new Uint8Array(128);
  const kib = Math.min((low - MiB) / 1024, 0xfc00);
  cmos.set([kib & 0xff, kib >> 8], 0x30);
  const units = Math.max(0, (low - 16 * MiB) / 65536);
  cmos.set([units & 0xff, units >> 8], 0x34);
  const high = above / 65536;
  cmos.set([high & 0xff, (high >> 8) & 0xff, high >> 16], 0x5b);
  return cmos;
}

interface Case {
  readonly what: string;
  readonly blocks: RamBlock[];
  readonly cmos?: Uint8Array;
  readonly machine?: string;
  readonly lowBytes?: number;
  /** Address, block, offset and bytes of each range. */
  readonly ranges: readonly (readonly [number, string, number, number])[];
  readonly doubts?: number;
}

// All as QEMU 7.2's `info mtree` has them.
const CASES: readonly Case[] = [
  {
    what: '32 MiB',
    blocks: blocksOf(
      ['pc.ram', 32 * MiB],
      ['0000:00:02.0/vga.vram', 16 * MiB],
      ['pc.bios', 262144],
    ),
    cmos: cmosOf(32 * MiB, 0),
    ranges: [
      [0, 'pc.ram', 0, 32 * MiB],
      [0xfffc0000, 'pc.bios', 0, 262144],
    ],
  },
  {
    what: 'q35 with 5 GiB',
    blocks: blocksOf(['pc.ram', 5 * GiB]),
    cmos: cmosOf(2 * GiB, 3 * GiB),
    ranges: [
      [0, 'pc.ram', 0, 2 * GiB],
      [4 * GiB, 'pc.ram', 2 * GiB, 3 * GiB],
    ],
  },
  {
    what: 'max-ram-below-4g=1G, which the machine type does not tell',
    blocks: blocksOf(['pc.ram', 5 * GiB]),
    cmos: cmosOf(GiB, 4 * GiB),
    machine: 'pc-i440fx-7.2',
    ranges: [
      [0, 'pc.ram', 0, GiB],
      [4 * GiB, 'pc.ram', GiB, 4 * GiB],
    ],
  },
  {
    what: '8 MiB behind a larger video memory',
    blocks: blocksOf(['0000:00:02.0/vga.vram', 16 * MiB], ['pc.ram', 8 * MiB]),
    cmos: cmosOf(8 * MiB, 0),
    ranges: [[0, 'pc.ram', 0, 8 * MiB]],
  },
  {
    what: 'a memory module before 64 MiB of main RAM',
    blocks: blocksOf(['mem1', 128 * MiB], ['pc.ram', 64 * MiB]),
    cmos: cmosOf(64 * MiB, 0),
    ranges: [
      [0, 'pc.ram', 0, 64 * MiB],
      [4 * GiB, 'mem1', 0, 128 * MiB],
    ],
    doubts: 1,
  },
  {
    what: 'a memory module behind 5 GiB of a q35',
    blocks: blocksOf(['pc.ram', 5 * GiB], ['mem1', 128 * MiB]),
    cmos: cmosOf(2 * GiB, 3 * GiB),
    ranges: [
      [0, 'pc.ram', 0, 2 * GiB],
      [4 * GiB, 'pc.ram', 2 * GiB, 3 * GiB],
      [7 * GiB, 'mem1', 0, 128 * MiB],
    ],
    doubts: 1,
  },
  {
    what: 'nodes of NUMA, listed by size',
    blocks: blocksOf(['ram-node1', 2 * GiB], ['ram-node0', 3 * GiB]),
    cmos: cmosOf(2 * GiB, 3 * GiB),
    ranges: [
      [0, 'ram-node0', 0, 2 * GiB],
      [4 * GiB, 'ram-node0', 2 * GiB, GiB],
      [5 * GiB, 'ram-node1', 0, 2 * GiB],
    ],
    doubts: 1,
  },
  {
    what: 'a backend of another name',
    blocks: blocksOf(['m0', 32 * MiB], ['0000:00:02.0/vga.vram', 16 * MiB], ['pc.rom', 131072]),
    cmos: cmosOf(32 * MiB, 0),
    ranges: [[0, 'm0', 0, 32 * MiB]],
  },
  {
    what: 'nothing but the machine type',
    blocks: blocksOf(['pc.ram', 5 * GiB]),
    machine: 'pc-q35-7.2',
    ranges: [
      [0, 'pc.ram', 0, 2 * GiB],
      [4 * GiB, 'pc.ram', 2 * GiB, 3 * GiB],
    ],
    doubts: 1,
  },
  {
    what: 'a split that somebody knows',
    blocks: blocksOf(['pc.ram', 5 * GiB]),
    machine: 'pc-q35-7.2',
    lowBytes: 3 * GiB,
    ranges: [
      [0, 'pc.ram', 0, 3 * GiB],
      [4 * GiB, 'pc.ram', 3 * GiB, 2 * GiB],
    ],
  },
];

test.each(CASES)('where RAM lies: $what', ({ blocks, cmos, machine, lowBytes, ranges, doubts }) => {
  const map = mapMemory(blocks, { cmos, machine, video: undefined, lowBytes });
  expect(
    map.ranges.map(({ address, block, offset, bytes }) => [address, block.name, offset, bytes]),
  ).toEqual(ranges);
  expect(map.doubts).toHaveLength(doubts ?? 0);
});
