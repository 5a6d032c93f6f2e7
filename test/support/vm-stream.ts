/** VM state streams built by hand, byte by byte as QEMU 7.2 and 11.1 write them. */
import { deflateSync } from 'node:zlib';
import { memoryDevice } from '../../src/io/memory.js';
import { VmStateSource } from '../../src/read/vmstate/source.js';

export const PAGE = 4096;

export function u32(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

export function u64(value: number): number[] {
  return [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];
}

export function text(value: string): number[] {
  return [...Buffer.from(value)];
}

/** A name with its length before it, in one byte. */
export function named(value: string): number[] {
  return [value.length, ...text(value)];
}

/** A page whose bytes tell which one it is. */
export function pageOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: PAGE }, (_, i) => (seed * 31 + i * 7) & 0xff);
}

const footer = (id: number): number[] => [0x7e, ...u32(id)];

export const HEAD = [...text('QEVM'), ...u32(3)];

export function configuration(machine: string, capabilities: readonly string[] = []): number[] {
  const head = [0x07, ...u32(machine.length), ...text(machine)];
  if (capabilities.length === 0) return head;
  const part = [0x05, ...named('configuration/capabilities'), ...u32(1)];
  return [...head, ...part, ...u32(capabilities.length), ...capabilities.flatMap(named)];
}

export function begin(id: number, name: string, version: number, data: number[]): number[] {
  return [0x01, ...u32(id), ...named(name), ...u32(0), ...u32(version), ...data, ...footer(id)];
}

export function part(type: 2 | 3, id: number, data: number[]): number[] {
  return [type, ...u32(id), ...data, ...footer(id)];
}

export function device(id: number, name: string, instance: number, data: number[]): number[] {
  const head = [0x04, ...u32(id), ...named(name), ...u32(instance), ...u32(1)];
  return [...head, ...data, ...footer(id)];
}

export const END_OF_RAM = u64(0x10);

export function blockList(blocks: readonly (readonly [name: string, bytes: number])[]): number[] {
  const total = blocks.reduce((sum, [, bytes]) => sum + bytes, 0);
  const entries = blocks.flatMap(([name, bytes]) => [...named(name), ...u64(bytes)]);
  return [...u64(total + 4), ...entries, ...END_OF_RAM];
}

export function dataPage(offset: number, seed: number, name?: string): number[] {
  const head = name === undefined ? u64(offset + 0x28) : [...u64(offset + 0x08), ...named(name)];
  return [...head, ...pageOf(seed)];
}

export function bytePage(offset: number, value: number): number[] {
  return [...u64(offset + 0x22), value];
}

export function packedPage(offset: number, seed: number): number[] {
  const packed = deflateSync(pageOf(seed));
  return [...u64(offset + 0x120), ...u32(packed.length), ...packed];
}

export function description(devices: readonly object[]): number[] {
  const json = text(JSON.stringify({ page_size: PAGE, devices }));
  return [0x06, ...u32(json.length), ...json];
}

/** A small machine: a RAM block of four pages of each kind, a ROM, two devices. */
export function smallStream(): Uint8Array {
  const devices = [
    {
      name: 'timer',
      instance_id: 0,
      vmsd_name: 'timer',
      version: 2,
      fields: [
        { name: 'ticks', type: 'int64', size: 8 },
        { name: 'list', type: 'uint16', size: 2, array_len: 3 },
      ],
      subsections: [
        { vmsd_name: 'timer/more', version: 1, fields: [{ name: 'x', type: 'uint8', size: 1 }] },
      ],
    },
    { name: 'cpu', instance_id: 1, fields: [{ name: 'data', type: 'buffer', size: 4 }] },
  ];
  const timer = [...u64(77), ...[0, 1, 0, 2, 0, 3], 0x05, ...named('timer/more'), ...u32(1), 9];
  return Uint8Array.from([
    ...HEAD,
    ...configuration('pc-i440fx-7.2'),
    ...begin(
      2,
      'ram',
      4,
      blockList([
        ['pc.ram', 4 * PAGE],
        ['rom', PAGE],
      ]),
    ),
    ...part(2, 2, [...dataPage(0, 1, 'pc.ram'), ...bytePage(PAGE, 0x5a), ...END_OF_RAM]),
    ...part(2, 2, [...packedPage(2 * PAGE, 3), ...bytePage(3 * PAGE, 0), ...END_OF_RAM]),
    ...part(3, 2, [...dataPage(0, 5, 'rom'), ...END_OF_RAM]),
    ...device(0, 'timer', 0, timer),
    ...device(9, 'cpu', 1, [1, 2, 3, 4]),
    0x00,
    ...description(devices),
  ]);
}

/** A stream with pages at fixed places, as QEMU 11.1 saves it with mapped-ram. */
export function mappedStream(): { readonly bytes: Uint8Array; readonly end: number } {
  const [bitmapAt, pagesAt] = [0x400, 0x1000];
  const bytes = new Uint8Array(pagesAt + 4 * PAGE + 1000).fill(0xee);
  const blocks = [
    ...HEAD,
    ...configuration('pc-i440fx-11.1', ['mapped-ram']),
    ...[0x01, ...u32(1), ...named('ram'), ...u32(0), ...u32(4)],
    ...[...u64(4 * PAGE + 4), ...named('pc.ram'), ...u64(4 * PAGE)],
    ...[...u32(1), ...u64(PAGE), ...u64(bitmapAt), ...u64(pagesAt)],
  ];
  bytes.set(blocks);
  // Pages 1 and 2 are stored, the bits of a byte from the lowest one.
  bytes[bitmapAt] = 0b0110;
  bytes.set(pageOf(1), pagesAt + PAGE);
  bytes.set(pageOf(2), pagesAt + 2 * PAGE);
  const devices = [{ name: 'timer', instance_id: 0, fields: [{ name: 'x', type: 'u', size: 2 }] }];
  const rest = [
    ...[...END_OF_RAM, ...footer(1)],
    ...part(3, 1, END_OF_RAM),
    ...device(0, 'timer', 0, [1, 2]),
    ...[0x00, ...description(devices)],
  ];
  bytes.set(rest, pagesAt + 4 * PAGE);
  return { bytes, end: pagesAt + 4 * PAGE + rest.length };
}

/** The bytes of a stream as a VM state that a snapshot maps; nothing is mapped behind them. */
export function sourceOf(bytes: Uint8Array): VmStateSource {
  return new VmStateSource(memoryDevice(bytes), 0, bytes.length, [bytes.length, bytes.length]);
}
