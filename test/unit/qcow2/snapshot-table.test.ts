import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { hexOfBytes, utf8Bytes } from '../../../src/base/text.js';
import {
  conformingEntry,
  encodeSnapshotTable,
  extraDataOf,
  parseSnapshotTable,
  type Snapshot,
  type SnapshotEntry,
  type SnapshotTableContext,
} from '../../../src/qcow2/snapshot-table.js';
import { loadFixture } from '../../support/fixture.js';
import { bytesOf } from './header-bytes.js';

const CONTEXT: SnapshotTableContext = {
  count: 1,
  at: 0x90000,
  diskSizeBytes: 0x100000,
  clusterBytes: 65_536,
  fileSizeBytes: 2 ** 40,
};

function parse(
  bytes: Uint8Array,
  context: Partial<SnapshotTableContext> = {},
): readonly Snapshot[] {
  const read = parseSnapshotTable(bytes, { ...CONTEXT, ...context });
  if ('moreBytes' in read) throw new Error(`wants ${read.moreBytes} bytes`);
  return read.snapshots;
}

function refusalOf(bytes: Uint8Array, context: Partial<SnapshotTableContext> = {}): unknown {
  try {
    return parse(bytes, context);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { code: error.code, at: error.details.at };
  }
}

/** L1 at 0x70000 with 2 entries, id "7", name "ab", then the numbers; `extra` as in each test. */
function entry(extra: string, vmState32 = '00000000'): Uint8Array {
  const bytes = bytesOf(extra);
  const length = bytes.length.toString(16).padStart(8, '0');
  return bytesOf(`
    0000000000070000 00000002 0001 0002 65e1f480 3b9ac9ff 000000e8d4a51007 ${vmState32} ${length}
    ${extra} 37 6162 00000000000000`);
}

describe('one entry by the table of the specification', () => {
  const [snapshot] = parse(
    entry('0000000140000001 0000000000200000 0000000000000005', '00001000'),
  ) as [Snapshot];

  test('every field', () => {
    expect(snapshot).toMatchObject({
      index: 0,
      id: '7',
      name: 'ab',
      nameIsUtf8: true,
      l1: { at: 0x70000, entries: 2 },
      date: { seconds: 0x65e1f480, nanoseconds: 999_999_999 },
      vmClockNanoseconds: 1_000_000_000_007n,
      diskSizeBytes: 0x200000,
      icount: 5n,
      vmStateBytes32: 0x1000,
      at: 0x90000,
    });
  });

  test('S3: with 8 bytes of extra data the 32-bit VM state size is ignored', () => {
    expect(snapshot.vmStateBytes).toBe(0x1_4000_0001);
    expect(parse(entry('', '00001000'))[0]!.vmStateBytes).toBe(0x1000);
    expect(parse(entry('0000000000000000', '00001000'))[0]!.vmStateBytes).toBe(0);
  });

  test('S2: without a disk size the snapshot has the size of the active disk', () => {
    expect(parse(entry('0000000000000000'))[0]!.diskSizeBytes).toBe(0x100000);
    expect(parse(entry('0000000000000000 000000000000'))[0]!.diskSizeBytes).toBe(0x100000);
  });

  test('S4: icount is absent, disabled (all ones) or a number', () => {
    const sizes = '0000000000000000 0000000000200000';
    expect(parse(entry(sizes))[0]!.icount).toBeUndefined();
    expect(parse(entry(`${sizes} ffffffffffffffff`))[0]!.icount).toBeUndefined();
    expect(parse(entry(`${sizes} 0000000000000000`))[0]!.icount).toBe(0n);
    expect(parse(entry(`${sizes} fffffffffffffffe`))[0]!.icount).toBe(2n ** 64n - 2n);
  });

  test('S13: dates reach to 2106, and odd nanoseconds are kept as they are', () => {
    const bytes = entry('');
    bytes.set(bytesOf('ffffffff ffffffff'), 16);
    expect(parse(bytes)[0]!.date).toEqual({ seconds: 4_294_967_295, nanoseconds: 4_294_967_295 });
  });
});

test('S1: extra data that nobody knows is kept, and skipped to the byte', () => {
  const extra = '00'.repeat(24) + 'deadbeef'.repeat(3);
  const bytes = new Uint8Array([...entry(extra).subarray(0, 80), ...entry('')]);
  const [first, second] = parse(bytes, { count: 2 }) as [Snapshot, Snapshot];
  expect(hexOfBytes(first.extraData)).toBe(extra);
  expect([first.name, second.name]).toEqual(['ab', 'ab']);
  expect(second.at).toBe(0x90000 + 80);
});

test('S1: a table that QEMU wrote is read and written back byte for byte', () => {
  for (const name of [
    'five-snapshots',
    'extra-data',
    'names-odd',
    'vm-state-5gib',
    'dates-extreme',
  ]) {
    const image = loadFixture(name);
    const view = new DataView(image.buffer);
    const at = Number(view.getBigUint64(64));
    const read = parseSnapshotTable(image.subarray(at), {
      count: view.getUint32(60),
      at,
      diskSizeBytes: Number(view.getBigUint64(24)),
      clusterBytes: 2 ** view.getUint32(20),
      fileSizeBytes: image.length,
    });
    if ('moreBytes' in read) throw new Error('the whole table was given');
    expect(read.snapshots.length).toBeGreaterThan(0);
    const again = encodeSnapshotTable(read.snapshots);
    // The file may end before the padding of the last entry: QEMU does not write it.
    const table = new Uint8Array(read.bytes);
    table.set(image.subarray(at, at + read.bytes));
    expect(hexOfBytes(again)).toBe(hexOfBytes(table));
  }
});

test('S7: names and ids are bytes; what is not UTF-8 is shown as U+FFFD and said to be so', () => {
  const bytes = entry('');
  bytes.set(bytesOf('ff fe'), 41);
  expect(parse(bytes)[0]).toMatchObject({ name: '\ufffd\ufffd', nameIsUtf8: false });
  expect(hexOfBytes(parse(bytes)[0]!.nameBytes)).toBe('fffe');
});

describe('S8, S10: limits', () => {
  test('1024 bytes of extra data, and not one more', () => {
    expect(parse(entry('00'.repeat(1024)))[0]!.extraData).toHaveLength(1024);
    expect(refusalOf(entry('00'.repeat(1025)))).toEqual({
      code: 'SNAPSHOT_TABLE_INVALID',
      at: 0x90000 + 36,
    });
  });

  test.each([
    ['0000000000070000 00400000', undefined],
    ['0000000000070000 00400001', 8],
    ['0000000000070000 ffffffff', 8],
    ['0000000000070008 00000001', 0],
    ['0100000000000000 00000001', 0],
    ['ffffffffffffffff 00000001', 0],
  ])('an L1 of %s', (hex, at) => {
    const bytes = entry('');
    bytes.set(bytesOf(hex));
    if (at === undefined) expect(parse(bytes)[0]!.l1.entries).toBe(0x400000);
    else expect(refusalOf(bytes)).toEqual({ code: 'SNAPSHOT_TABLE_INVALID', at: 0x90000 + at });
  });

  test('a table above 64 MiB', () => {
    const one = new Uint8Array(131_112 + 1024);
    one.set(bytesOf(`0000000000070000 00000002 ffff ffff ${'00'.repeat(20)} 00000400`));
    const count = 600;
    const bytes = new Uint8Array(Math.ceil(one.length / 8) * 8 * count);
    for (let i = 0; i < count; i++) bytes.set(one, i * Math.ceil(one.length / 8) * 8);
    expect(refusalOf(bytes, { count })).toMatchObject({ code: 'SNAPSHOT_TABLE_INVALID' });
  });

  test('E2: sizes past 2^53 are refused and not rounded', () => {
    expect(refusalOf(entry('0020000000000000'))).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });
});

describe('reading from a prefix', () => {
  const whole = new Uint8Array([...entry('').subarray(0, 48), ...entry('').subarray(0, 48)]);

  test('asks for more until all is there, and ends', () => {
    const context = { ...CONTEXT, count: 2 };
    let given = 1;
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(6);
      const bytes = new Uint8Array(given);
      bytes.set(whole.subarray(0, given));
      const read = parseSnapshotTable(bytes, context);
      if ('snapshots' in read) {
        expect(read).toMatchObject({ bytes: 96, snapshots: [{ index: 0 }, { index: 1 }] });
        return;
      }
      expect(read.moreBytes).toBeGreaterThan(given);
      given = read.moreBytes;
    }
  });

  test('S8: the end of the file inside the table is named, not read past', () => {
    for (const length of [0, 39, 40, 42, 60]) {
      const context = { count: 2, fileSizeBytes: CONTEXT.at + length };
      expect(refusalOf(whole.subarray(0, length), context)).toEqual({
        code: 'IMAGE_TRUNCATED',
        at: CONTEXT.at + length,
      });
    }
  });

  test('the last entry needs no padding', () => {
    const context = { count: 1, fileSizeBytes: CONTEXT.at + 43 };
    expect(parse(whole.subarray(0, 43), context)).toHaveLength(1);
  });
});

const anyEntry: fc.Arbitrary<SnapshotEntry> = fc.record({
  idBytes: fc.uint8Array({ maxLength: 20 }),
  nameBytes: fc.uint8Array({ maxLength: 300 }),
  date: fc.record({ seconds: fc.nat(0xffff_ffff), nanoseconds: fc.nat(0xffff_ffff) }),
  vmClockNanoseconds: fc.bigInt(0n, 2n ** 64n - 1n),
  vmStateBytes32: fc.nat(0xffff_ffff),
  extraData: fc.uint8Array({ maxLength: 60 }).map((bytes) => {
    const extra = bytes.slice();
    // Sizes past 2^53 are refused, and tested above.
    for (const at of [0, 8]) if (extra.length >= at + 8) extra.fill(0, at, at + 2);
    return extra;
  }),
  l1: fc.record({
    at: fc.nat(2 ** 30).map((cluster) => cluster * 65_536),
    entries: fc.nat(2 ** 22),
  }),
});

test('S1, S3, S4, S7: encoded entries are parsed to the same, all starting at multiples of 8', () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 6 }), (entries) => {
      const bytes = encodeSnapshotTable(entries);
      expect(bytes.length % 8).toBe(0);
      const parsed = parse(bytes, { count: entries.length });
      expect(parsed).toMatchObject(entries);
      for (const snapshot of parsed) expect(snapshot.at % 8).toBe(0);
      expect(encodeSnapshotTable(parsed)).toEqual(bytes);
    }),
  );
});

describe('new and conforming entries', () => {
  test('S0, S2, S4: extra data of a new snapshot: no VM state, the disk size, icount disabled', () => {
    expect(hexOfBytes(extraDataOf(0x1_0000_0200))).toBe(
      '0000000000000000' + '0000000100000200' + 'ffffffffffffffff',
    );
    expect(hexOfBytes(extraDataOf(1, 0n)).slice(32)).toBe('0000000000000000');
  });

  test.each([
    ['', '00001000', '0000000000001000 0000000000100000 ffffffffffffffff'],
    ['0000000140000000', '00000000', '0000000140000000 0000000000100000 ffffffffffffffff'],
    ['0000000140000000 00000000', '0', '0000000140000000 0000000000100000 ffffffffffffffff'],
  ])(
    'S2: version 3 needs 16 bytes: %s is completed by what its absence means',
    (extra, vm, full) => {
      const [snapshot] = parse(entry(extra, vm.padStart(8, '0')));
      expect(hexOfBytes(conformingEntry(snapshot!, 3).extraData)).toBe(full.replaceAll(' ', ''));
      expect(hexOfBytes(conformingEntry(snapshot!, 2).extraData)).toBe(extra.replaceAll(' ', ''));
    },
  );

  test('S1: longer extra data stays byte for byte', () => {
    const extra = '00'.repeat(16) + 'aa';
    const [snapshot] = parse(entry(extra));
    expect(hexOfBytes(conformingEntry(snapshot!, 3).extraData)).toBe(extra);
  });

  test('everything else of an entry stays', () => {
    const [snapshot] = parse(entry('', '00001000')) as [Snapshot];
    const conforming = conformingEntry(snapshot, 3);
    expect({ ...conforming, extraData: snapshot.extraData }).toEqual(snapshot);
    expect(utf8Bytes(snapshot.name)).toEqual(snapshot.nameBytes);
  });
});
