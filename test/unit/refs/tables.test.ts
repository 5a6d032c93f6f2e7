import { expect, test } from 'vitest';
import { readTable, walkTables } from '../../../src/refs/tables.js';
import { checkL1Table, visitL1Tables } from '../../../src/refs/l1-tables.js';
import { memoryDevice } from '../../../src/index.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { recordingDevice } from '../../support/recording-device.js';

/** 3,000 tables of 4 KiB, more than a batch; the first word of each is its number. */
const TABLES = 3000;
const bytes = new Uint8Array(TABLES * 4096);
for (let i = 0; i < TABLES; i++) new DataView(bytes.buffer).setUint32(i * 4096, i);

test('every table once, in the order given, in few reads', async () => {
  const device = recordingDevice(bytes);
  const order = Float64Array.from({ length: TABLES }, (_, i) => (TABLES - 1 - i) * 4096);
  const seen: number[] = [];
  await walkTables(device, order, 4096, (index, words) => {
    expect(words).toHaveLength(1024);
    expect(order[index]).toBe(words[0]! * 4096);
    seen.push(words[0]!);
  });
  expect(seen).toEqual(Array.from({ length: TABLES }, (_, i) => TABLES - 1 - i));
  expect(new Set(device.log.map(({ kind }) => kind))).toEqual(new Set(['read']));
});

test('no tables, no reads', async () => {
  const device = recordingDevice(bytes);
  await walkTables(device, new Float64Array(0), 4096, () => expect.unreachable());
  expect(await readTable(device, 0, 0)).toHaveLength(0);
  expect(device.log).toEqual([]);
});

test('what a visitor throws reaches the caller', async () => {
  const offsets = Float64Array.from({ length: TABLES }, (_, i) => i * 4096);
  const walk = walkTables(memoryDevice(bytes), offsets, 4096, (index) => {
    if (index === 5) throw new RangeError('five');
  });
  await expect(walk).rejects.toThrow('five');
});

test('L1 tables of any length, small ones together', async () => {
  const refs = [3, 600_000, 0, 2].map((entries, i) => ({ at: i * 4096, entries }));
  const seen: number[] = [];
  await visitL1Tables(memoryDevice(bytes), refs, (index, words) => {
    expect(words).toHaveLength(refs[index]!.entries * 2);
    if (words.length > 0) expect(words[0]).toBe(index);
    seen.push(index);
  });
  expect(seen).toEqual([0, 1, 2, 3]);
});

test('A13: an L1 entry that can not be right is refused with its place', () => {
  const format = { geometry: geometryOf(12, 4, false), version: 3, fileClusters: 9 } as const;
  const ref = { at: 0x4000, entries: 2 };
  const check = (high: number, low: number) => () => {
    checkL1Table('active-l1', ref, Uint32Array.of(0, 0, high, low), format);
  };
  expect(check(0x8000_0000, 0x8000)).not.toThrow();
  expect(check(0, 0x9000)).toThrow(
    'the active-l1 entry at 0x4008 (0x9000) points outside the file',
  );
  expect(check(0, 0x8200)).toThrow('does not point at a cluster boundary');
  expect(check(0x0100_0000, 0x8000)).toThrow('has reserved bits set');
  expect(check(0x8000_0000, 0)).toThrow('has the COPIED flag but points nowhere');
});
