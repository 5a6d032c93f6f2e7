/** Partition tables: of both schemes, with logical partitions, and such as can't be right. */
import { expect, test } from 'vitest';
import {
  memoryDevice,
  partitionAt,
  partitionNumbered,
  readPartitions,
} from '../../../../src/index.js';

const SECTOR = 512;
const DISK_BYTES = 8 * 2 ** 20;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);

/** Puts an entry into the MBR that lies in a sector. */
function putEntry(
  bytes: Uint8Array,
  mbr: number,
  index: number,
  [type, first, sectors]: readonly [type: number, first: number, sectors: number],
): void {
  const at = mbr * SECTOR + 446 + index * 16;
  bytes[at + 4] = type;
  view(bytes).setUint32(at + 8, first, true);
  view(bytes).setUint32(at + 12, sectors, true);
  bytes.set([0x55, 0xaa], mbr * SECTOR + 510);
}

function putGpt(bytes: Uint8Array, sectorBytes: number): void {
  putEntry(bytes, 0, 0, [0xee, 1, 0xffff_ffff]);
  const at = sectorBytes;
  bytes.set(new TextEncoder().encode('EFI PART'), at);
  const header = view(bytes);
  header.setUint32(at + 72, 2, true);
  header.setUint32(at + 80, 128, true);
  header.setUint32(at + 84, 128, true);
  const entry = 2 * sectorBytes + 128;
  // An EFI system partition, as it lies on disks.
  bytes.set([0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11], entry);
  bytes.set([0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b], entry + 8);
  header.setUint32(entry + 32, 64, true);
  header.setUint32(entry + 40, 127, true);
  for (let i = 0; i < 6; i += 1) {
    header.setUint16(entry + 56 + 2 * i, 'EFI äö'.charCodeAt(i), true);
  }
}

test('primary partitions of an MBR', async () => {
  const bytes = new Uint8Array(DISK_BYTES);
  putEntry(bytes, 0, 0, [0x83, 2048, 4096]);
  putEntry(bytes, 0, 2, [0x07, 8192, 1000]);
  const table = await readPartitions(memoryDevice(bytes));
  expect(table).toEqual({
    scheme: 'mbr',
    sectorBytes: 512,
    partitions: [
      { number: 1, start: 2048 * 512, length: 4096 * 512, type: '83', name: undefined },
      { number: 3, start: 8192 * 512, length: 1000 * 512, type: '07', name: undefined },
    ],
  });
  expect(partitionAt(table!, 2048 * 512 - 1)).toBeUndefined();
  expect(partitionAt(table!, 2048 * 512)?.number).toBe(1);
  expect(partitionAt(table!, 6144 * 512)).toBeUndefined();
  expect(partitionNumbered(table, 3).start).toBe(8192 * 512);
  expect(() => partitionNumbered(table, 2)).toThrow(
    expect.objectContaining({ code: 'PARTITION_NOT_FOUND' }) as Error,
  );
});

test('logical partitions count from their own tables, and lie in the extended one', async () => {
  const bytes = new Uint8Array(DISK_BYTES);
  putEntry(bytes, 0, 1, [0x0f, 2048, 8192]);
  putEntry(bytes, 2048, 0, [0x83, 64, 1000]);
  putEntry(bytes, 2048, 1, [0x05, 2000, 2000]);
  putEntry(bytes, 4048, 0, [0x82, 64, 500]);
  const table = (await readPartitions(memoryDevice(bytes)))!;
  expect(table.partitions.map(({ number, start }) => [number, start / SECTOR])).toEqual([
    [2, 2048],
    [5, 2112],
    [6, 4112],
  ]);
  expect(partitionAt(table, 4112 * SECTOR)?.number).toBe(6);
  expect(partitionAt(table, 2049 * SECTOR)?.number).toBe(2);
});

test('a list of logical partitions that leads to itself ends', async () => {
  const bytes = new Uint8Array(DISK_BYTES);
  putEntry(bytes, 0, 0, [0x05, 2048, 8192]);
  putEntry(bytes, 2048, 0, [0x83, 64, 10]);
  putEntry(bytes, 2048, 1, [0x05, 0, 8192]);
  expect((await readPartitions(memoryDevice(bytes)))!.partitions).toHaveLength(2);
});

test.each([512, 4096])('a GUID partition table with sectors of %i bytes', async (sectorBytes) => {
  const bytes = new Uint8Array(DISK_BYTES);
  putGpt(bytes, sectorBytes);
  expect(await readPartitions(memoryDevice(bytes))).toEqual({
    scheme: 'gpt',
    sectorBytes,
    partitions: [
      {
        number: 2,
        start: 64 * sectorBytes,
        length: 64 * sectorBytes,
        type: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
        name: 'EFI äö',
      },
    ],
  });
});

test('claims that no disk can hold cost nothing', async () => {
  const bytes = new Uint8Array(DISK_BYTES);
  putGpt(bytes, 512);
  view(bytes).setUint32(512 + 80, 0xffff_ffff, true);
  expect((await readPartitions(memoryDevice(bytes)))!.partitions).toHaveLength(1);
  // Entries behind the end of the disk are zeros.
  view(bytes).setUint32(512 + 76, 0xffff_ffff, true);
  expect((await readPartitions(memoryDevice(bytes)))!.partitions).toEqual([]);
  view(bytes).setUint32(512 + 84, 0xffff_ffff, true);
  // Only the protective MBR is left.
  expect((await readPartitions(memoryDevice(bytes)))!.scheme).toBe('mbr');
});

test('a disk without a table has none', async () => {
  expect(await readPartitions(memoryDevice(new Uint8Array(DISK_BYTES)))).toBeUndefined();
  expect(await readPartitions(memoryDevice(new Uint8Array(0)))).toBeUndefined();
});
