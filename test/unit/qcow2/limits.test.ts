import { expect, test } from 'vitest';
import { LIMITS } from '../../../src/qcow2/limits.js';

/** What the specification says, and what qemu-img 7.2 was seen to refuse. */
test('limits that others set', () => {
  const others = Object.entries(LIMITS).filter(([, { owner }]) => owner !== 'ours');
  expect(Object.fromEntries(others.map(([name, { owner, value }]) => [name, `${owner} ${value}`])))
    .toMatchInlineSnapshot(`
      {
        "backingNameBytesMax": "spec 1023",
        "bitmapDirectoryBytesMax": "qemu 67108864",
        "bitmapNameBytesMax": "qemu 1023",
        "bitmapTableEntriesMax": "qemu 134217728",
        "bitmapsMax": "qemu 65535",
        "clusterBitsMax": "qemu 21",
        "clusterBitsMin": "spec 9",
        "clusterBitsMinExtendedL2": "spec 14",
        "headerBytesMinV3": "spec 104",
        "l1BytesMax": "qemu 33554432",
        "luksStripes": "spec 4000",
        "refcountOrderMax": "spec 6",
        "refcountTableBytesMax": "qemu 8388608",
        "snapshotExtraBytesMax": "qemu 1024",
        "snapshotIdBytesMax": "qemu 127",
        "snapshotNameBytesMax": "qemu 255",
        "snapshotTableBytesMax": "qemu 67108864",
        "snapshotsMax": "qemu 65536",
      }
    `);
});
