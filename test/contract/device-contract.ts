/** What src/io/device.ts promises, as tests that every source and device passes. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { BlockDevice, BlockSource, ReadRequest } from '../../src/io/device.js';
import { FILE_READ_LIMITS } from '../../src/io/batch.js';

export interface Supports {
  /** Property runs; fewer for slow sources. */
  readonly runs?: number;
  /** Bytes of the large batches; less for slow sources. */
  readonly largeBytes?: number;
  /** Whether holes can be punched here. */
  readonly punches?: boolean;
}

type SourceFactory = (bytes: Uint8Array) => Promise<BlockSource>;
type DeviceFactory = (bytes: Uint8Array) => Promise<BlockDevice>;

/** Bytes that tell where they are from: no two aligned words are alike. */
export function patternBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1)
    bytes[i] = (Math.imul(i >>> 2, 0x9e37_79b1) >>> ((i & 3) * 8)) & 0xff;
  return bytes;
}

/** What a read must give: `bytes`, and zeros past their end. */
function expectedAt(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const expected = new Uint8Array(length);
  expected.set(bytes.subarray(Math.min(at, bytes.length), Math.min(at + length, bytes.length)));
  return expected;
}

/** Dirty memory: what is not filled shows. */
function request(at: number, length: number): ReadRequest {
  return { at, into: new Uint8Array(length).fill(0xa5) };
}

async function readAll(source: BlockSource): Promise<Uint8Array> {
  const into = new Uint8Array(await source.sizeBytes());
  await source.readBatch([{ at: 0, into }]);
  return into;
}

async function expectReads(
  source: BlockSource,
  bytes: Uint8Array,
  requests: readonly ReadRequest[],
): Promise<void> {
  await source.readBatch(requests);
  for (const { at, into } of requests) {
    // Compared as hex of a few bytes only where they differ: equality of long arrays is slow.
    const same = Buffer.compare(into, expectedAt(bytes, at, into.length)) === 0;
    expect(same, `${into.length} bytes at ${at}`).toBe(true);
  }
}

function everyOther(count: number, length: number, stride: number): ReadRequest[] {
  return Array.from({ length: count }, (_, i) => request(i * stride, length));
}

/** The part of the contract that reading alone can show. */
export function sourceContract(
  name: string,
  factory: SourceFactory,
  supports: Supports = {},
): void {
  const large = supports.largeBytes ?? 9 * 1024 * 1024;
  const runs = supports.runs ?? 100;
  const opened: BlockSource[] = [];
  const open: SourceFactory = async (bytes) => {
    const source = await factory(bytes);
    opened.push(source);
    return source;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((source) => source.close()));
  });

  describe(`${name}: reading`, () => {
    test('has a label and a size', async () => {
      const source = await open(patternBytes(1234));
      expect(source.label).not.toBe('');
      expect(await source.sizeBytes()).toBe(1234);
    });

    test('an empty batch and empty requests do nothing', async () => {
      const source = await open(patternBytes(100));
      await source.readBatch([]);
      await source.readBatch([request(5, 0)]);
      await expectReads(source, patternBytes(100), [request(7, 0), request(3, 4), request(99, 0)]);
    });

    test('an empty file is all zeros', async () => {
      const source = await open(new Uint8Array(0));
      expect(await source.sizeBytes()).toBe(0);
      await expectReads(source, new Uint8Array(0), [request(0, 10), request(1_000_000, 10)]);
    });

    test('past the end are zeros: across it, at it and far behind it', async () => {
      const bytes = patternBytes(1000);
      const source = await open(bytes);
      await expectReads(source, bytes, [request(990, 20)]);
      await expectReads(source, bytes, [request(1000, 20)]);
      await expectReads(source, bytes, [
        request(2 ** 45, 3),
        request(900, 50),
        request(960, 100),
        request(1100, 10),
      ]);
    });

    test('requests in any order, overlapping and repeated', async () => {
      const bytes = patternBytes(5000);
      const source = await open(bytes);
      await expectReads(source, bytes, [
        request(3000, 700),
        request(0, 100),
        request(50, 100),
        request(50, 10),
        request(3000, 700),
        request(4990, 30),
        request(100, 2000),
      ]);
    });

    test('neighbours in the file that are neighbours in memory', async () => {
      const bytes = patternBytes(4096);
      const source = await open(bytes);
      const memory = new Uint8Array(4096).fill(0xa5);
      const places = [0, 1024, 2048, 3072];
      await source.readBatch(places.map((at) => ({ at, into: memory.subarray(at, at + 1024) })));
      expect(memory).toEqual(bytes);
    });

    test('neighbours in the file that lie swapped in memory', async () => {
      const bytes = patternBytes(2048);
      const source = await open(bytes);
      const memory = new Uint8Array(2048).fill(0xa5);
      await source.readBatch([
        { at: 0, into: memory.subarray(1024) },
        { at: 1024, into: memory.subarray(0, 1024) },
      ]);
      expect(memory.subarray(1024)).toEqual(bytes.subarray(0, 1024));
      expect(memory.subarray(0, 1024)).toEqual(bytes.subarray(1024));
    });

    test('one long request, and it may begin anywhere', async () => {
      const bytes = patternBytes(large);
      const source = await open(bytes);
      await expectReads(source, bytes, [request(0, large)]);
      await expectReads(source, bytes, [request(large % 4099, large)]);
    });

    test('many small requests with gaps just below and above the merge limit', async () => {
      const bytes = patternBytes(large);
      const source = await open(bytes);
      for (const gap of [1, FILE_READ_LIMITS.gapBytes, FILE_READ_LIMITS.gapBytes + 1]) {
        const stride = 512 + gap;
        await expectReads(source, bytes, everyOther(Math.floor(large / stride) + 2, 512, stride));
      }
    });

    test('more requests than one call takes', async () => {
      const bytes = patternBytes(3000 * 16);
      const source = await open(bytes);
      await expectReads(source, bytes, everyOther(3000, 8, 16));
    });

    test('batches at the same time', async () => {
      const bytes = patternBytes(20_000);
      const source = await open(bytes);
      const batches = Array.from({ length: 20 }, (_, i) => [request(i * 900, 950), request(i, 10)]);
      await Promise.all(batches.map((batch) => expectReads(source, bytes, batch)));
    });

    test('random batches are what a plain array gives', async () => {
      const bytes = patternBytes(3000);
      const source = await open(bytes);
      const pair = fc.tuple(fc.nat(3500), fc.nat(700));
      await fc.assert(
        fc.asyncProperty(fc.array(pair, { maxLength: 30 }), async (places) => {
          await expectReads(
            source,
            bytes,
            places.map(([at, length]) => request(at, length)),
          );
        }),
        { numRuns: runs },
      );
    });

    test('a closed source refuses', async () => {
      const source = await factory(patternBytes(10));
      await source.close();
      await expect(source.readBatch([request(0, 10)])).rejects.toThrow();
    });
  });
}

/** The whole contract: of reading and of writing. */
export function deviceContract(
  name: string,
  factory: DeviceFactory,
  supports: Supports = {},
): void {
  sourceContract(name, factory, supports);
  const large = supports.largeBytes ?? 9 * 1024 * 1024;
  const opened: BlockDevice[] = [];
  const open: DeviceFactory = async (bytes) => {
    const device = await factory(bytes);
    opened.push(device);
    return device;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((device) => device.close()));
  });

  describe(`${name}: writing`, () => {
    test('says that it grows', async () => {
      expect((await open(new Uint8Array(0))).growable).toBe(true);
    });

    test('writes change their bytes and no others', async () => {
      const bytes = patternBytes(4000);
      const device = await open(bytes);
      const model = bytes.slice();
      const writes = [
        { at: 3000, bytes: new Uint8Array(100).fill(1) },
        { at: 10, bytes: new Uint8Array(5).fill(2) },
        { at: 15, bytes: new Uint8Array(5).fill(3) },
        { at: 500, bytes: new Uint8Array(0) },
      ];
      await device.writeBatch([]);
      await device.writeBatch(writes);
      await device.flush();
      for (const write of writes) model.set(write.bytes, write.at);
      expect(await readAll(device)).toEqual(model);
    });

    test('a write past the end grows the file, with zeros between', async () => {
      const device = await open(patternBytes(10));
      await device.writeBatch([{ at: 5000, bytes: Uint8Array.of(9) }]);
      const model = new Uint8Array(5001);
      model.set(patternBytes(10));
      model[5000] = 9;
      expect(await readAll(device)).toEqual(model);
    });

    test('an empty write past the end does not', async () => {
      const device = await open(patternBytes(10));
      await device.writeBatch([{ at: 5000, bytes: new Uint8Array(0) }]);
      expect(await device.sizeBytes()).toBe(10);
    });

    test('the bytes are taken before the batch resolves', async () => {
      const device = await open(new Uint8Array(4));
      const bytes = Uint8Array.of(1, 2, 3, 4);
      await device.writeBatch([{ at: 0, bytes }]);
      bytes.fill(0);
      expect(await readAll(device)).toEqual(Uint8Array.of(1, 2, 3, 4));
    });

    test('one long write and many small ones', async () => {
      const model = patternBytes(large);
      const device = await open(new Uint8Array(0));
      await device.writeBatch([{ at: 0, bytes: model }]);
      const small = Array.from({ length: Math.min(2500, Math.floor(large / 24)) }, (_, i) => ({
        at: i * 24,
        bytes: new Uint8Array(i % 2 === 0 ? 24 : 20).fill(i),
      }));
      await device.writeBatch(small);
      await device.flush();
      for (const write of small) model.set(write.bytes, write.at);
      expect(Buffer.compare(await readAll(device), model)).toBe(0);
    });

    test('truncate cuts, and adds zeros', async () => {
      const device = await open(patternBytes(1000));
      await device.truncate(300);
      expect(await readAll(device)).toEqual(patternBytes(300));
      await device.truncate(800);
      expect(await readAll(device)).toEqual(expectedAt(patternBytes(300), 0, 800));
      await device.truncate(800);
      expect(await device.sizeBytes()).toBe(800);
    });

    test('a punched range reads as zero and the length stays', async () => {
      const bytes = patternBytes(100_000);
      const device = await open(bytes);
      const ranges = [
        { at: 8192, length: 4096 },
        { at: 12_288, length: 4096 },
        { at: 0, length: 10 },
        { at: 99_000, length: 5000 },
        { at: 500, length: 0 },
      ];
      expect(await device.punchBatch([])).toBe(0);
      const givenBack = await device.punchBatch(ranges);
      const model = bytes.slice();
      if (supports.punches !== false) {
        for (const { at, length } of ranges) model.fill(0, at, at + length);
      }
      expect(givenBack).toBe(supports.punches === false ? 0 : 8192 + 10 + 1000);
      expect(Buffer.compare(await readAll(device), model)).toBe(0);
    });

    test('any sequence of changes leaves what a plain array holds', async () => {
      const write = fc.record({ at: fc.nat(2000), bytes: fc.uint8Array({ maxLength: 300 }) });
      const step = fc.oneof(
        fc.record({ do: fc.constant('write' as const), writes: fc.array(write, { maxLength: 8 }) }),
        fc.record({ do: fc.constant('truncate' as const), size: fc.nat(2500) }),
        fc.record({ do: fc.constant('flush' as const) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const device = await factory(patternBytes(100));
          let model = patternBytes(100);
          for (const each of steps) {
            if (each.do === 'flush') await device.flush();
            else if (each.do === 'truncate') {
              await device.truncate(each.size);
              model = expectedAt(model, 0, each.size);
            } else {
              await device.writeBatch(apart(each.writes));
              const writes = apart(each.writes).filter(({ bytes }) => bytes.length > 0);
              const end = Math.max(
                model.length,
                ...writes.map(({ at, bytes }) => at + bytes.length),
              );
              model = expectedAt(model, 0, end);
              for (const one of writes) model.set(one.bytes, one.at);
            }
          }
          expect(await readAll(device)).toEqual(model);
          await device.close();
        }),
        { numRuns: supports.runs ?? 100 },
      );
    });
  });
}

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Those of the writes that overlap none before them. */
function apart(writes: readonly Write[]): Write[] {
  const kept: Write[] = [];
  for (const write of writes) {
    const end = write.at + write.bytes.length;
    const free = kept.every(
      (other) => end <= other.at || other.at + other.bytes.length <= write.at,
    );
    if (free) kept.push(write);
  }
  return kept;
}
