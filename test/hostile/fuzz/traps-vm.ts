/** Traps in VM states: streams that are sound, to be damaged, and streams that claim far more than they hold. */
import {
  blockList,
  configuration,
  description,
  device,
  END_OF_RAM,
  HEAD,
  mappedStream,
  named,
  part,
  smallStream,
  u32,
  u64,
} from '../../support/vm-stream.js';
import { CLUSTER } from './plain-image.js';
import { made, type Trap } from './trap.js';
import { vmStateImage } from './vm-image.js';

const MiB = 2 ** 20;

/** A stream of one part. */
function saved(bytes: readonly number[]): Uint8Array {
  return vmStateImage([{ at: 0, bytes: Uint8Array.from([...HEAD, ...bytes]) }]);
}

/** Very many sections, each of nothing but its head: their ends are looked for one by one. */
function manySections(): Uint8Array {
  const sections = Array.from({ length: 40_000 }, (_, i) => device(i, 'cpu', i, []));
  return vmStateImage([{ at: 0, bytes: Uint8Array.from([...HEAD, ...sections.flat(), 0]) }]);
}

/** A processor with 200 MiB of registers, which are a hole. */
function largeDevice(): Uint8Array {
  const bytes = 200 * MiB;
  const sizes = { 'env.regs': 128, 'env.eip': 8, 'env.segs': 120, 'env.cr[0]': 8 };
  const fields = Object.entries({ ...sizes, 'env.fpregs': bytes - 264 }).map(([name, size]) => {
    return { name, type: 'buffer', size };
  });
  const head = [...HEAD, 0x04, ...u32(1), ...named('cpu'), ...u32(0), ...u32(1)];
  const end = [0x7e, ...u32(1), 0, ...description([{ name: 'cpu', instance_id: 0, fields }])];
  const endAt = head.length + bytes;
  const from = Math.floor(endAt / CLUSTER) * CLUSTER;
  const tail = [...new Uint8Array(endAt - from), ...end];
  return vmStateImage([
    { at: 0, bytes: Uint8Array.from(head) },
    { at: from, bytes: Uint8Array.from(tail) },
  ]);
}

/** A VGA device in a mode of VBE, with this much video memory. */
function screen(width: number, height: number, memoryBytes: number): Uint8Array {
  const registers = [0, width, height, 32, 1, 0, 0, 0, 0, 0];
  const fields = [
    { name: 'vga/gr', type: 'buffer', size: 16 },
    { name: 'vga/cr', type: 'buffer', size: 256 },
    { name: 'vga/vbe_regs', type: 'uint16', size: 2, array_len: 10 },
    { name: 'vga/vbe_line_offset', type: 'uint32', size: 4 },
  ];
  const data = [...new Uint8Array(272), ...registers.flatMap((one) => u32(one).slice(2))];
  return saved([
    ...[0x01, ...u32(2), ...named('ram'), ...u32(0), ...u32(4)],
    ...[...blockList([['0000:00:02.0/vga.vram', memoryBytes]]), 0x7e, ...u32(2)],
    ...part(3, 2, END_OF_RAM),
    ...device(5, '0000:00:02.0/vga', 0, [...data, ...u32(width * 4)]),
    0,
    ...description([{ name: '0000:00:02.0/vga', instance_id: 0, fields }]),
  ]);
}

/** Mapped RAM of 64 TiB, and nowhere a bit that a page of it is there. */
function endlessBitmap(): Uint8Array {
  return saved([
    ...configuration('pc', ['mapped-ram']),
    ...[0x01, ...u32(1), ...named('ram'), ...u32(0), ...u32(4)],
    ...[...u64(2 ** 46 + 4), ...named('pc.ram'), ...u64(2 ** 46)],
    ...[...u32(1), ...u64(4096), ...u64(0x400), ...u64(2 ** 32)],
  ]);
}

/** As many RAM blocks as are read, and a page of one byte for every 16 bytes of the stream. */
function pagesOfManyBlocks(): Uint8Array {
  const name = (i: number): string => `b${String(i).padStart(5, '0')}`;
  const blocks = Array.from({ length: 4096 }, (_, i) => [name(i), 4096] as const);
  const list = blockList(blocks).slice(0, -8);
  const page = [...u64(0x02), ...named(name(4095)), 0x5a];
  const pages = Array.from({ length: 40_000 }, () => page);
  return saved([
    ...[0x01, ...u32(2), ...named('ram'), ...u32(0), ...u32(4)],
    ...[list, ...pages, END_OF_RAM, [0x7e, ...u32(2)]].flat(),
    0,
  ]);
}

/** Sound streams, short enough to be changed at every place. */
export const SOUND_VM_STATES: readonly Trap[] = [
  made('a VM state of a small machine', true, () =>
    vmStateImage([{ at: 0, bytes: smallStream() }]),
  ),
  made('a VM state with mapped RAM', true, () =>
    vmStateImage([{ at: 0, bytes: mappedStream().bytes }]),
  ),
];

export const VM_TRAPS: readonly Trap[] = [
  ...SOUND_VM_STATES,
  made('a VM state of 40,000 processors without a description', true, manySections),
  made('a VM state with 200 MiB of a processor', true, largeDevice),
  made('a VM state with a screen larger than its video memory', true, () =>
    screen(16_000, 12_000, 65_536),
  ),
  made('a VM state with a screen of 200 MiB', true, () => screen(16_000, 3_200, 2 ** 40)),
  made('a VM state with mapped RAM of 64 TiB', true, endlessBitmap),
  made('a VM state with pages of 4,096 RAM blocks', true, pagesOfManyBlocks),
];
