import { expect, test } from 'vitest';
import { memoryDevice } from '../../../src/index.js';
import { stoppable } from '../../../src/io/stoppable.js';
import { expectReads, watched } from '../../../src/io/watched.js';

const bytes = (length: number) => [{ at: 0, into: new Uint8Array(length) }];

test('tells the share of what is expected, and nothing before that', async () => {
  const told: number[] = [];
  const source = watched(memoryDevice(new Uint8Array(1000)), 200, (share) => told.push(share));
  await source.readBatch(bytes(500));
  expect(told).toEqual([]);
  expectReads(source, 600);
  await source.readBatch(bytes(200));
  await source.readBatch([...bytes(100), ...bytes(100)]);
  expect(told).toEqual([0.25, 0.5]);
  // More turns out to be read than was said: the share does not shrink.
  expectReads(source, 800);
  await source.readBatch(bytes(100));
  expect(told).toEqual([0.25, 0.5]);
  await source.readBatch(bytes(1000));
  await source.readBatch(bytes(1000));
  expect(told).toEqual([0.25, 0.5, 0.9375, 1]);
});

test('small reads are told together', async () => {
  const told: number[] = [];
  const source = watched(memoryDevice(new Uint8Array(16)), 0, (share) => told.push(share));
  expectReads(source, 16_000);
  for (let i = 0; i < 1000; i++) await source.readBatch(bytes(16));
  expect(told.length).toBeGreaterThan(90);
  expect(told.length).toBeLessThanOrEqual(100);
});

test('is heard through a stoppable source; a source that nobody watches hears nothing', async () => {
  const told: number[] = [];
  const device = memoryDevice(new Uint8Array(100));
  const source = watched(device, 0, (share) => told.push(share));
  const { signal } = new AbortController();
  const outer = stoppable(source, signal, 'it');
  expectReads(outer, 100);
  await outer.readBatch(bytes(50));
  expect(told).toEqual([0.5]);
  expectReads(device, 100);
});
