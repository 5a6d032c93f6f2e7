import { afterEach, expect, test, vi } from 'vitest';
import { deviceParts, sizeByReading } from '../../../../src/node/files/block-size.js';
import type { FileCalls } from '../../../../src/node/files/file-calls.js';
import { FileDevice } from '../../../../src/node/files/file-device.js';
import { FileSource } from '../../../../src/node/files/file-source.js';

/** A file of `sizeBytes` zeros that only counts; `calls` replaces what a test is about. */
function fakeCalls(sizeBytes: number, calls: Partial<FileCalls> = {}): FileCalls {
  const total = (buffers: readonly Uint8Array[]) =>
    buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  return {
    fd: -1,
    read: (into, at) => Promise.resolve(Math.max(0, Math.min(total(into), sizeBytes - at))),
    write: (from) => Promise.resolve(total(from)),
    stat: () => Promise.resolve({ size: sizeBytes, blocks: 0 }),
    datasync: () => Promise.resolve(),
    sync: () => Promise.resolve(),
    truncate: () => Promise.resolve(),
    punch: () => Promise.resolve(true),
    seek: () => undefined,
    close: () => Promise.resolve(),
    ...calls,
  };
}

const FILE = { fixedBytes: undefined };
const systemError = (code: string) => Object.assign(new Error(`${code}: it failed`), { code });
const fails = (code: string) => () => Promise.reject(systemError(code));
const device = (calls: Partial<FileCalls>) => new FileDevice('a.img', fakeCalls(1000, calls), FILE);
const write = (at: number, length: number) => ({ at, bytes: new Uint8Array(length) });

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  ['', 4],
  ['16', 16],
  ['many', 4],
])('with a thread pool of "%s" threads %d reads are in flight', async (threads, most) => {
  vi.stubEnv('UV_THREADPOOL_SIZE', threads);
  let [inFlight, highest] = [0, 0];
  const read: FileCalls['read'] = async (into) => {
    highest = Math.max(highest, (inFlight += 1));
    await new Promise((resolve) => setTimeout(resolve, 1));
    inFlight -= 1;
    return into[0]!.length;
  };
  const apart = Array.from({ length: 40 }, (_, i) => ({ at: i * 1e6, into: new Uint8Array(8) }));
  await device({ read }).readBatch(apart);
  expect(highest).toBe(most);
});

test('a read error says what was read, where, and why', async () => {
  const reading = device({ read: fails('EIO') }).readBatch([{ at: 512, into: new Uint8Array(64) }]);
  await expect(reading).rejects.toMatchObject({
    code: 'READ_FAILED',
    message: "Can't read 64 bytes of a.img at byte 512: the medium has an error",
    details: { file: 'a.img', at: 512, systemCode: 'EIO' },
    cause: { code: 'EIO' },
  });
});

test.each([
  ['ENOSPC', 'NO_SPACE', 'no space is left'],
  ['EDQUOT', 'NO_SPACE', 'the disk quota is used up'],
  ['EFBIG', 'NO_SPACE', 'the file would become longer than the system allows'],
  ['EIO', 'WRITE_FAILED', 'the medium has an error'],
])('%s of a write or truncate is %s', async (systemCode, code, reason) => {
  const writing = device({ write: fails(systemCode) }).writeBatch([write(4096, 10)]);
  await expect(writing).rejects.toMatchObject({
    code,
    message: `Can't write 10 bytes to a.img at byte 4096: ${reason}`,
    details: { file: 'a.img', at: 4096, systemCode },
  });
  const cutting = device({ truncate: fails(systemCode) }).truncate(9);
  await expect(cutting).rejects.toMatchObject({ code, details: { systemCode } });
});

test('a disk that becomes full in the middle of a write is no space at that byte', async () => {
  let room = 700;
  const calls: Partial<FileCalls> = {
    write: (from) => {
      if (room === 0) return Promise.reject(systemError('ENOSPC'));
      const count = Math.min(room, from[0]!.length);
      room -= count;
      return Promise.resolve(count);
    },
  };
  const writing = device(calls).writeBatch([write(0, 512), write(512, 512)]);
  await expect(writing).rejects.toMatchObject({ code: 'NO_SPACE', details: { at: 700 } });
});

test('a write that takes nothing ends in an error, not in a loop', async () => {
  const writing = device({ write: () => Promise.resolve(0) }).writeBatch([write(0, 10)]);
  await expect(writing).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});

test('a place that is none is a bug, and never the current position', async () => {
  let wrote = false;
  const calls: Partial<FileCalls> = {
    write: () => {
      wrote = true;
      return Promise.resolve(1);
    },
  };
  for (const at of [-1, 0.5, NaN, 2 ** 53]) {
    const writing = device(calls).writeBatch([write(at, 1)]);
    await expect(writing).rejects.toMatchObject({ code: 'INTERNAL' });
  }
  expect(wrote).toBe(false);
});

test('after a failed flush nothing is written or flushed any more', async () => {
  let flushes = 0;
  const failed = device({
    datasync: () => {
      flushes += 1;
      return flushes === 1 ? Promise.reject(systemError('EIO')) : Promise.resolve();
    },
  });
  await failed.writeBatch([write(0, 10)]);
  await expect(failed.flush()).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  await expect(failed.flush()).rejects.toThrow('a flush failed before');
  await expect(failed.writeBatch([write(0, 10)])).rejects.toThrow('a flush failed before');
  await expect(failed.truncate(0)).rejects.toThrow('a flush failed before');
  await expect(failed.punchBatch([{ at: 0, length: 1 }])).rejects.toThrow('a flush failed before');
  expect(flushes).toBe(1);
});

test('a file that can not be closed well is an error only where it was written', async () => {
  const calls = { close: fails('EIO') };
  await new FileSource('a.img', fakeCalls(1000, calls), FILE).close();
  await expect(device(calls).close()).rejects.toMatchObject({
    code: 'WRITE_FAILED',
    message: "Can't close a.img: the medium has an error",
  });
});

test('where there is no fdatasync, fsync serves', async () => {
  let synced = 0;
  const sync = () => {
    synced += 1;
    return Promise.resolve();
  };
  await device({ datasync: fails('EINVAL'), sync }).flush();
  expect(synced).toBe(1);
});

test('a host without holes gives nothing back, and is asked once', async () => {
  for (const code of ['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']) {
    let asked = 0;
    const punch = () => {
      asked += 1;
      return Promise.reject(systemError(code));
    };
    const ranges = Array.from({ length: 50 }, (_, i) => ({ at: i * 20, length: 10 }));
    expect(await device({ punch }).punchBatch(ranges)).toBe(0);
    expect(asked).toBeLessThanOrEqual(4);
  }
  expect(
    await device({ punch: () => Promise.resolve(false) }).punchBatch([{ at: 0, length: 10 }]),
  ).toBe(0);
  const punching = device({ punch: fails('EIO') }).punchBatch([{ at: 0, length: 10 }]);
  await expect(punching).rejects.toMatchObject({ code: 'WRITE_FAILED', details: { at: 0 } });
});

test('a block device has a fixed end', async () => {
  const disk = new FileDevice('/dev/x', fakeCalls(4096), { fixedBytes: 4096 });
  expect(disk.growable).toBe(false);
  expect(await disk.sizeBytes()).toBe(4096);
  await disk.writeBatch([write(4000, 96)]);
  await expect(disk.writeBatch([write(4000, 100)])).rejects.toMatchObject({
    code: 'NO_SPACE',
    details: { bytesNeeded: 4 },
  });
  await disk.truncate(4096);
  await expect(disk.truncate(5000)).rejects.toMatchObject({ code: 'NO_SPACE' });
  await expect(disk.truncate(10)).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});

test.each([0, 512, 1024, 4096 * 7, 3 * 2 ** 40 + 512])(
  'reading finds the end of a device of %d bytes',
  async (sizeBytes) => {
    let reads = 0;
    const calls = fakeCalls(sizeBytes);
    const counted: FileCalls = {
      ...calls,
      read: (into, at) => {
        reads += 1;
        return calls.read(into, at);
      },
    };
    expect(await sizeByReading(counted)).toBe(sizeBytes);
    expect(reads).toBeLessThan(100);
  },
);

test('device numbers split as Linux packs them', () => {
  expect(deviceParts(0x0700)).toEqual({ major: 7, minor: 0 });
  expect(deviceParts(0xfe00)).toEqual({ major: 254, minor: 0 });
  expect(deviceParts(0x1_0371_02)).toEqual({ major: 0x371, minor: 0x02 + 0x10 * 2 ** 8 });
});

test('a block device has no holes, though its node takes no room', async () => {
  const calls = fakeCalls(1000, { seek: () => Infinity });
  const onDevice = new FileDevice('/dev/a', calls, { fixedBytes: 1000 });
  expect(await onDevice.allocatedBytes()).toBe(0);
  expect(await onDevice.stretchesFrom(100, 1000)).toEqual([
    { at: 100, length: 900, isHole: false },
  ]);
});

test('between two answers about holes others have their turn', async () => {
  const seek: FileCalls['seek'] = (what, at) => (what === 'data' ? at + 1 - (at % 2) : at + 1);
  const file = device({ seek });
  let turns = 0;
  setImmediate(() => (turns += 1));
  const told = (await file.stretchesFrom(0, 1e6))!;
  expect(told.at(-1)!.at).toBeLessThan(1e6);
  expect(turns).toBe(1);
});
