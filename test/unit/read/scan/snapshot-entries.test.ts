import { describe, expect, test } from 'vitest';
import { utf8Bytes } from '../../../../src/base/text.js';
import { encodeSnapshotTable, extraDataOf } from '../../../../src/qcow2/snapshot-table.js';
import { findEntries } from '../../../../src/read/scan/snapshot-entries.js';

const CLUSTER = 4096;
const context = {
  at: 0x10000,
  clusterBytes: CLUSTER,
  fileSizeBytes: 0x100000,
  diskSizeBytes: 1 << 20,
  isNamed: false,
};

function table(...names: readonly string[]): Uint8Array {
  const entries = names.map((name, i) => ({
    idBytes: utf8Bytes(String(i + 1)),
    nameBytes: utf8Bytes(name),
    date: { seconds: 1_700_000_000 + i, nanoseconds: 5 },
    vmClockNanoseconds: 0n,
    vmStateBytes32: 0,
    extraData: extraDataOf(1 << 20),
    l1: { at: (i + 2) * CLUSTER, entries: 1 },
  }));
  const bytes = new Uint8Array(2 * CLUSTER);
  bytes.set(encodeSnapshotTable(entries));
  return bytes;
}

const namesOf = (bytes: Uint8Array, isNamed = false): readonly string[] =>
  findEntries(bytes, { ...context, isNamed }).snapshots.map(({ name }) => name);

describe('entries of a snapshot table', () => {
  test('are found one after the other', () => {
    expect(namesOf(table('one', 'two', 'three'))).toEqual(['one', 'two', 'three']);
  });

  test('are found again behind one that is overwritten', () => {
    const bytes = table('one', 'two', 'three');
    bytes.fill(0x41, 0, 60);
    expect(namesOf(bytes)).toEqual(['two', 'three']);
  });

  test('keep the rest of a name whose end is cut off', () => {
    const bytes = table('before upgrade');
    const end = encodedLength(bytes);
    bytes.fill(0, end - 2);
    expect(namesOf(bytes)).toEqual(['before upgra']);
  });

  test('a cluster of zeros has none', () => {
    expect(namesOf(new Uint8Array(CLUSTER))).toEqual([]);
  });

  test('lead to an L1 table, unless the table is known to be one', () => {
    const bytes = table('one');
    new DataView(bytes.buffer).setBigUint64(0, 0x1234n);
    expect(namesOf(bytes)).toEqual([]);
    expect(namesOf(bytes, true)).toEqual(['one']);
  });

  test('that go on behind the bytes ask for more', () => {
    const bytes = table('a name of some length');
    expect(findEntries(bytes.subarray(0, 64), context).goesOn).toBe(true);
    expect(findEntries(bytes, context).goesOn).toBe(false);
  });
});

/** Where the last byte that is not 0 ends. */
function encodedLength(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}
