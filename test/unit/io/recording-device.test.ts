import { expect, test } from 'vitest';
import { crashStates } from '../../support/crash-states.js';
import { recordingDevice } from '../../support/recording-device.js';

const filled = (length: number, value: number) => new Uint8Array(length).fill(value);
const texts = (states: Iterable<{ readonly bytes: Uint8Array }>) =>
  new Set([...states].map(({ bytes }) => Buffer.from(bytes).toString('hex')));

test('every call is logged in order, with its bytes copied', async () => {
  const device = recordingDevice(filled(4, 1));
  const bytes = Uint8Array.of(9);
  await device.writeBatch([{ at: 1, bytes }]);
  bytes[0] = 0;
  await device.flush();
  await device.truncate(3);
  await device.punchBatch([{ at: 0, length: 1 }]);
  await device.readBatch([{ at: 0, into: new Uint8Array(2) }]);
  expect(device.log).toEqual([
    { kind: 'write', at: 1, bytes: Uint8Array.of(9) },
    { kind: 'flush' },
    { kind: 'truncate', sizeBytes: 3 },
    { kind: 'punch', at: 0, length: 1 },
    { kind: 'read', at: 0, length: 2 },
  ]);
  expect(device.snapshotBytes()).toEqual(Uint8Array.of(0, 9, 1));
});

test('the chosen call fails and the next one works', async () => {
  const device = recordingDevice(filled(2, 0));
  const writes = [
    { at: 0, bytes: Uint8Array.of(1) },
    { at: 1, bytes: Uint8Array.of(2) },
  ];
  device.failAt(2);
  await device.flush();
  await expect(device.writeBatch(writes)).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  expect(device.snapshotBytes()).toEqual(Uint8Array.of(0, 0));
  device.failAt(1, 'partly');
  await expect(device.writeBatch(writes)).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  expect(device.snapshotBytes()).toEqual(Uint8Array.of(1, 0));
  await device.writeBatch(writes);
  expect(device.snapshotBytes()).toEqual(Uint8Array.of(1, 2));
});

test('all subsets of what is in flight, and only those, within a sector', async () => {
  const device = recordingDevice(filled(3, 0));
  await device.writeBatch([0, 1].map((at) => ({ at, bytes: Uint8Array.of(7) })));
  await device.flush();
  await device.writeBatch([{ at: 2, bytes: Uint8Array.of(8) }]);
  const states = [...crashStates(device.log, filled(3, 0), { seed: 1 })];
  const first = states.filter(({ barrier }) => barrier === 0);
  expect(texts(first)).toEqual(new Set(['000000', '070000', '000700', '070700']));
  const second = states.filter(({ barrier }) => barrier === 1);
  expect(texts(second)).toEqual(new Set(['070700', '070708']));
  expect(new Set(states.map(({ description }) => description)).size).toBe(states.length);
});

test('the length may be the old one, the new one, or between', async () => {
  const device = recordingDevice(filled(512, 1));
  await device.writeBatch([{ at: 512, bytes: filled(1024, 2) }]);
  await device.truncate(100);
  const states = [...crashStates(device.log, filled(512, 1), { seed: 3, samples: 200 })];
  const lengths = new Set(states.map(({ bytes }) => bytes.length));
  expect([...lengths].sort((a, b) => a - b)).toEqual([100, 512, 1024, 1536]);
  const grownOnly = states.some(({ bytes }) => bytes.length === 1536 && bytes[1535] === 0);
  expect(grownOnly, 'a length without its data').toBe(true);
});

test('writes tear at sectors and never inside one', async () => {
  const device = recordingDevice(filled(2048, 1));
  await device.writeBatch([{ at: 256, bytes: filled(1536, 2) }]);
  const seen = new Set<string>();
  for (const { bytes } of crashStates(device.log, filled(2048, 1), { seed: 5, samples: 300 })) {
    const sectors = [256, 512, 1024, 1536].map((from, i, all) => {
      const values = new Set(bytes.subarray(from, i === 3 ? 1792 : all[i + 1]));
      expect(values.size, 'one sector has one age').toBe(1);
      return [...values][0]!;
    });
    expect(bytes[255]).toBe(1);
    expect(bytes[1792]).toBe(1);
    seen.add(sectors.join(''));
  }
  expect(seen.size, 'every mix of four sectors').toBe(16);
});

test('with many in flight there are samples, the same for the same seed', async () => {
  const device = recordingDevice(filled(100, 0));
  const writes = Array.from({ length: 100 }, (_, at) => ({ at, bytes: Uint8Array.of(1) }));
  await device.writeBatch(writes);
  const run = (seed: number) => [...crashStates(device.log, filled(100, 0), { seed, samples: 20 })];
  const states = texts(run(1));
  expect(states.has('00'.repeat(100))).toBe(true);
  expect(states.has('01'.repeat(100))).toBe(true);
  expect(states.size).toBeGreaterThan(25);
  expect(run(1)).toEqual(run(1));
  expect(texts(run(2))).not.toEqual(states);
});
