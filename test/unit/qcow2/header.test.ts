import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeHeader, encodeSwitch, hasBit, parseHeader } from '../../../src/qcow2/header.js';
import { loadFixture } from '../../support/fixture.js';
import { bytesOf, patchedHead } from './header-bytes.js';

/** Bytes 0 to 111 by the tables of the specification, every field with a value of its own. */
const EVERY_FIELD = bytesOf(`
  514649fb 00000003  0000000000000200 00000011 00000010
  0000000000300000   00000002 00000005 0000000000030000
  0000000000010000   00000001 00000007 0000000000050000
  0000000000000018   0000000000000001  8000000000000003
  00000005 00000070  01 00000000000000`);

test('H1: every field of a version 3 header is read from the place that the specification names', () => {
  expect(decodeHeader(EVERY_FIELD)).toEqual({
    magic: 0x514649fb,
    version: 3,
    backingNameAt: 0x200n,
    backingNameBytes: 17,
    clusterBits: 16,
    sizeBytes: 0x300000n,
    cryptMethod: 2,
    l1Entries: 5,
    l1At: 0x30000n,
    refcountTableAt: 0x10000n,
    refcountTableClusters: 1,
    snapshotCount: 7,
    snapshotTableAt: 0x50000n,
    incompatible: 0x18n,
    compatible: 1n,
    autoclear: 0x8000000000000003n,
    refcountOrder: 5,
    headerBytes: 112,
    compressionType: 1,
  });
});

test('H1: version 2 has no feature words: what QEMU put at byte 72 are extensions', () => {
  const bytes = loadFixture('backing-v2');
  expect(Buffer.from(bytes.subarray(72, 76)).toString('hex')).toBe('e2792aca');
  expect(decodeHeader(bytes)).toMatchObject({
    version: 2,
    incompatible: 0n,
    compatible: 0n,
    autoclear: 0n,
    refcountOrder: 4,
    headerBytes: 72,
    compressionType: 0,
  });
  expect(parseHeader(bytes, bytes.length).externalDataFile).toBe(false);
});

test('H10: byte 104 is the compression type only in a header that is longer than 104 bytes', () => {
  const short = EVERY_FIELD.slice();
  short.set(bytesOf('00000068'), 100);
  expect(decodeHeader(short).compressionType).toBe(0);
});

test('decoding is total: any bytes decode, missing ones count as zero', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), (bytes) => {
      const padded = new Uint8Array(200);
      padded.set(bytes);
      expect(decodeHeader(bytes)).toEqual(decodeHeader(padded));
    }),
  );
});

describe('parseHeader', () => {
  test('numbers get units, bits get names', () => {
    const head = patchedHead('version-3', [72, '0000000000000003'], [80, 'f000000000000001']);
    head.set(bytesOf('4000000000000002'), 88);
    const header = parseHeader(head, 1_245_184);
    expect(header).toMatchObject({
      version: 3,
      encryption: 'none',
      compressionType: 'zlib',
      dirty: true,
      markedCorrupt: true,
      externalDataFile: false,
      extendedL2: false,
      lazyRefcounts: true,
      bitmapsConsistent: false,
      rawExternalData: true,
      compatible: 0xf000000000000001n,
      autoclear: 0x4000000000000002n,
    });
    expect(header.geometry.clusterBytes).toBe(65_536);
  });

  test('E2: a disk size past 2^53 is refused and not rounded', () => {
    const head = patchedHead('version-3', [24, '0020000000000000'], [36, '00400000']);
    head.set(bytesOf('00000015'), 20);
    head.set(bytesOf('0000000000200000'), 40);
    head.set(bytesOf('0000000000400000'), 48);
    head.set(bytesOf('00000000'), 60);
    expect(() => parseHeader(head, 2 ** 30)).toThrow('0x20000000000000');
  });
});

describe('encodeSwitch', () => {
  const fields = {
    diskSizeBytes: 0x1_0000_0200,
    activeL1: { at: 0x70000, entries: 9 },
    refcountTable: { at: 0x80000, clusters: 2 },
    snapshotTable: { at: 0x90000, count: 3 },
    autoclear: 1n,
  };

  test('S11, A3, H5: one run of bytes from 24 to 95: size, L1, refcount and snapshot table, autoclear', () => {
    expect(Buffer.from(encodeSwitch(3, EVERY_FIELD, fields)).toString('hex')).toBe(
      Buffer.from(
        bytesOf(`
        0000000100000200   00000002 00000009 0000000000070000
        0000000000080000   00000002 00000003 0000000000090000
        0000000000000018   0000000000000001  0000000000000001`),
      ).toString('hex'),
    );
  });

  test('H1: version 2 ends at byte 71; what follows is not a feature word', () => {
    const bytes = encodeSwitch(2, EVERY_FIELD, fields);
    expect(bytes).toHaveLength(48);
    expect([...bytes]).toEqual([...encodeSwitch(3, EVERY_FIELD, fields).subarray(0, 48)]);
  });

  test('the sector that it is made from is not touched', () => {
    const before = EVERY_FIELD.slice();
    encodeSwitch(3, EVERY_FIELD, fields);
    expect(EVERY_FIELD).toEqual(before);
  });

  test('what it writes is what is read back', () => {
    const sector = loadFixture('version-3').slice(0, 512);
    sector.set(encodeSwitch(3, sector, fields), 24);
    const header = parseHeader(sector, 2 ** 30);
    expect(header).toMatchObject({
      diskSizeBytes: fields.diskSizeBytes,
      activeL1: fields.activeL1,
      refcountTable: fields.refcountTable,
      snapshotTable: fields.snapshotTable,
      autoclear: 1n,
    });
  });
});

test('hasBit', () => {
  expect(hasBit(2n ** 63n, 63)).toBe(true);
  expect(hasBit(2n ** 63n, 62)).toBe(false);
});
