import { describe, expect, test } from 'vitest';
import { roundUp } from '../../../src/base/units.js';
import {
  encodeSnapshotTable,
  parseSnapshotTable,
  type SnapshotTable,
} from '../../../src/qcow2/snapshot-table.js';
import {
  readSnapshotTableLeniently,
  type LenientSnapshotTable,
} from '../../../src/qcow2/snapshot-table-lenient.js';
import { loadFixture } from '../../support/fixture.js';
import { layoutOf } from '../../support/image-builder.js';
import { putU32, putU64, snapshotsOf } from '../../support/image-builder-layout.js';

const image = loadFixture('five-snapshots');
const { snapshotTableAt, snapshotCount, diskSizeBytes, clusterBytes } = layoutOf(image);
const context = {
  count: snapshotCount,
  at: snapshotTableAt,
  diskSizeBytes,
  clusterBytes,
  fileSizeBytes: image.length,
};

/** The table of the fixture with a change, and zeros behind it. */
function read(
  change: (table: Uint8Array) => void,
  claimed = snapshotCount,
  fileSizeBytes = context.fileSizeBytes,
): LenientSnapshotTable {
  const table = new Uint8Array(2 ** 20);
  table.set(image.subarray(snapshotTableAt, snapshotTableAt + clusterBytes));
  change(table);
  const result = readSnapshotTableLeniently(table, {
    ...context,
    count: claimed,
    fileSizeBytes,
  });
  if ('moreBytes' in result) throw new Error(`wants ${result.moreBytes} bytes`);
  return result;
}

function sound(): SnapshotTable {
  const table = parseSnapshotTable(image.subarray(snapshotTableAt), context);
  if ('moreBytes' in table) throw new Error('wants more');
  return table;
}

test('a sound table reads as it does strictly', () => {
  const strict = parseSnapshotTable(image.subarray(snapshotTableAt), context);
  const { snapshots, bytes, faults, stop } = read(() => undefined);
  // QEMU counts no padding behind the last entry.
  expect({ snapshots, bytes: roundUp(bytes, 8) }).toEqual(strict);
  expect({ faults, stop }).toEqual({ faults: [], stop: undefined });
});

test('a prefix that is too short asks for more', () => {
  const table = image.subarray(snapshotTableAt, snapshotTableAt + 50);
  expect(readSnapshotTableLeniently(table, context)).toHaveProperty('moreBytes');
});

describe('a field that can hold no such value', () => {
  test.each([
    [
      'l1-offset',
      (table: Uint8Array) => {
        putU64(table, 0, 0x200n);
      },
      0,
      0x200n,
    ],
    [
      'l1-offset',
      (table: Uint8Array) => {
        putU64(table, 0, 1n << 62n);
      },
      0,
      1n << 62n,
    ],
    [
      'l1-entries',
      (table: Uint8Array) => {
        putU32(table, 8, 2 ** 31);
      },
      8,
      2n ** 31n,
    ],
    [
      'VM state size',
      (table: Uint8Array) => {
        putU64(table, 40, 1n << 60n);
      },
      40,
      1n << 60n,
    ],
    [
      'disk size',
      (table: Uint8Array) => {
        putU64(table, 48, 1n << 60n);
      },
      48,
      1n << 60n,
    ],
  ] as const)('%s is a fault; the other entries are read', (field, change, at, value) => {
    const { snapshots, faults, stop } = read(change);
    expect(stop).toBeUndefined();
    expect(snapshots).toHaveLength(snapshotCount);
    expect(faults).toEqual([expect.objectContaining({ field, value, at: snapshotTableAt + at })]);
    const [first] = snapshots;
    if (field.startsWith('l1')) expect(first!.l1).toEqual({ at: 0, entries: 0 });
    else expect([first!.diskSizeBytes, first!.vmStateBytes]).toEqual([diskSizeBytes, 0]);
  });
});

describe('reading stops', () => {
  test('at extra data that is too long, with what came before', () => {
    const { snapshots, stop } = read((table) => {
      putU32(table, 36, 1025);
    });
    expect(snapshots).toEqual([]);
    expect(stop).toEqual({
      reason: 'extra-data-too-long',
      index: 0,
      at: snapshotTableAt + 36,
      value: 1025,
    });
  });

  test('at an entry that the file has no whole of, and QEMU goes on with zeros', () => {
    const table = image.subarray(snapshotTableAt, snapshotTableAt + clusterBytes);
    const sound = parseSnapshotTable(table, context);
    if ('moreBytes' in sound) throw new Error('wants more');
    const last = sound.snapshots.at(-1)!;
    const nameEnd = last.at + 40 + 24 + last.idBytes.length + last.nameBytes.length;
    const cut = (fileSizeBytes: number): LenientSnapshotTable =>
      read(
        (bytes) => {
          bytes.fill(0, fileSizeBytes - snapshotTableAt);
        },
        snapshotCount,
        fileSizeBytes,
      );
    expect(cut(nameEnd).stop).toBeUndefined();
    const { snapshots, stop, asQemuReads } = cut(nameEnd - 1);
    expect(snapshots).toEqual(sound.snapshots.slice(0, -1));
    expect(stop).toEqual({ reason: 'past-the-end', index: 4, at: last.at, value: 1 });
    expect(asQemuReads).toMatchObject({ stop: undefined, snapshots: { length: snapshotCount } });
    expect(asQemuReads.snapshots[4]!.l1).toEqual(last.l1);
    // Nothing of an entry is in the file.
    expect(cut(last.at).stop).toEqual({
      reason: 'past-the-end',
      index: 4,
      at: last.at,
      value: 40,
    });
  });

  test('at an entry of zeros, which is no snapshot of 1970', () => {
    const { snapshots, stop, faults, asQemuReads } = read((table) => {
      table.fill(0, 80);
      putU64(table, 0, 0x200n);
    });
    expect(snapshots).toHaveLength(1);
    expect(faults).toHaveLength(1);
    expect(stop).toEqual({ reason: 'blank', index: 1, at: snapshotTableAt + 80, value: 0 });
    expect(asQemuReads).toMatchObject({ stop: undefined, snapshots: { length: snapshotCount } });
    expect(asQemuReads.snapshots[2]).toMatchObject({ index: 2, id: '', date: { seconds: 0 } });
  });

  test.each([
    ['extra data that is too short, and all that follows is shifted', 36, 16, 1],
    ['extra data that is too long', 36, 24 + 64, 1],
    ['an id that goes on in what follows', 12, (1 << 16) | (1 << 4) | 1, 0],
  ])('at an entry that was misread: %s', (_, at, value, index) => {
    const { snapshots, stop } = read((table) => {
      const second = snapshotsOf(image).snapshots[1]!.at - snapshotTableAt;
      putU32(table, (index === 1 ? 0 : second) + at, value);
    });
    expect(stop).toMatchObject({ reason: 'misread' });
    expect(snapshots.length).toBeLessThan(snapshotCount);
  });

  test('at names that are no text, be they short or long, and at no others', () => {
    const named = (name: Uint8Array): unknown => {
      const entry = { ...sound().snapshots[0]!, nameBytes: name };
      const bytes = encodeSnapshotTable([entry]);
      return read((table) => {
        table.fill(0).set(bytes);
      }, 1).stop?.reason;
    };
    const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
    expect(named(Uint8Array.of(0x61, 0, 0x62))).toBe('misread');
    expect(named(filled(256, 0xff))).toBe('misread');
    for (const [length, byte] of [
      [255, 0xff],
      [255, 7],
      [65_535, 0x61],
    ] as const) {
      expect(named(filled(length, byte)), `${length} of ${byte}`).toBeUndefined();
    }
  });

  test('where the table gets longer than QEMU reads it', () => {
    const entry = 40 + 1024 + 2 * 65_535;
    const table = new Uint8Array(66 * 2 ** 20);
    const count = Math.ceil((64 * 2 ** 20) / entry) + 1;
    for (let i = 0, at = 0; i < count; i++, at += Math.ceil(entry / 8) * 8) {
      new DataView(table.buffer).setUint16(at + 12, 65_535);
      new DataView(table.buffer).setUint16(at + 14, 65_535);
      putU32(table, at + 36, 1024);
      table.fill(0x61, at + 40 + 1024, at + entry);
    }
    const fileSizeBytes = context.at + table.length;
    const result = readSnapshotTableLeniently(table, { ...context, count, fileSizeBytes });
    expect(result).toMatchObject({ stop: { reason: 'table-too-long' } });
  });
});
