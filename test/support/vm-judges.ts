/** What QEMU and its files say of a machine, taken apart by hand. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { expect } from 'vitest';

/** Names and values of registers, as a monitor prints them: of each processor the common ones. */
export function registersIn(text: string): Record<string, string>[] {
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
export function beginningOf(file: string, length: number): Buffer {
  const descriptor = openSync(file, 'r');
  const bytes = Buffer.alloc(length);
  readSync(descriptor, bytes, 0, length, 0);
  closeSync(descriptor);
  return bytes;
}

/** The last bytes of a file. */
export function endOf(file: string, length: number): Buffer {
  const descriptor = openSync(file, 'r');
  const { size } = statSync(file);
  const bytes = Buffer.alloc(Math.min(length, size));
  readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
  closeSync(descriptor);
  return bytes;
}

/** A description has its length before it, and nothing behind it. */
export function expectDescriptionAtEnd(end: Buffer): void {
  const devices = end.lastIndexOf('"devices": [');
  expect(devices).toBeGreaterThan(0);
  let at = devices;
  // Its type; the same byte may be one of its length.
  do at = end.lastIndexOf(0x06, at - 1);
  while (at > 0 && end[at + 5] !== 0x7b);
  expect(end.readUInt32BE(at + 1)).toBe(end.length - at - 5);
  const described = JSON.parse(end.toString('utf8', at + 5)) as { devices: unknown[] };
  expect(described.devices.length).toBeGreaterThan(3);
}

/** What a core file has from its notes on, and where its segments lie. */
export function coreOf(file: Buffer): { segments: unknown[]; notes: Buffer; memoryAt: number } {
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
