import { describe, expect, test } from 'vitest';
import {
  backingName,
  memoryDevice,
  openGuestDisk,
  openImage,
  rawDisk,
  type Extent,
  type Gate,
  type GuestDisk,
  type GuestDiskOptions,
  type OpenImage,
} from '../../../../src/index.js';
import { nodeCryptography, nodeDecompressor } from '../../../../src/node/index.js';
import { loadFixture, recipe } from '../../../support/fixture.js';

type Patch = (bytes: Uint8Array, image: OpenImage) => void;

async function imageOf(fixture: string, patch?: Patch): Promise<OpenImage> {
  const bytes = loadFixture(fixture);
  patch?.(bytes, await openImage(memoryDevice(bytes)));
  return openImage(memoryDevice(bytes, fixture));
}

async function readAll(image: OpenImage, options: GuestDiskOptions = {}): Promise<Uint8Array> {
  const disk = await openGuestDisk(image, { decompressor: nodeDecompressor(), ...options });
  const into = new Uint8Array(await disk.sizeBytes());
  await disk.readBatch([{ at: 0, into }]);
  return into;
}

async function extentsOf(disk: GuestDisk): Promise<readonly Extent[]> {
  const all: Extent[] = [];
  for await (const batch of disk.extents(0, await disk.sizeBytes())) all.push(...batch);
  return all;
}

/** Offset of the first L2 table of the active disk. */
function firstL2(bytes: Uint8Array, image: OpenImage): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Number(view.getBigUint64(image.header.activeL1.at) & 0x00ff_ffff_ffff_fe00n);
}

const withEntry =
  (change: (entry: bigint) => bigint): Patch =>
  (bytes, image) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const at = firstL2(bytes, image);
    view.setBigUint64(at, change(view.getBigUint64(at)));
  };

/** Opens files by name from a table. */
function gateOf(files: Readonly<Record<string, Uint8Array>>, data?: Uint8Array): Gate {
  return {
    openBacking: (image) => {
      const name = backingName(image)!;
      const source = memoryDevice(files[name], name);
      return Promise.resolve({ source, format: undefined, identity: name });
    },
    openDataFile: () => Promise.resolve(memoryDevice(data)),
  };
}

describe('what is missing is asked for by name when a read needs it', () => {
  test.each([
    ['compressed-zlib', 'UNSUPPORTED_COMPRESSION', { decompressor: undefined }],
    ['backing', 'BACKING_REFUSED', {}],
    ['data-file', 'DATA_FILE_REFUSED', {}],
    ['luks', 'ENCRYPTED', {}],
    ['aes', 'ENCRYPTED', {}],
  ] as const)('%s: %s', async (fixture, code, options) => {
    const image = await imageOf(fixture);
    await expect(readAll(image, options)).rejects.toMatchObject({ code, kind: 'request' });
    expect((await extentsOf(await openGuestDisk(image))).length).toBeGreaterThan(1);
  });

  test('a passphrase without cryptography, and a wrong one', async () => {
    const passphrase = new TextEncoder().encode('wrong');
    const image = await imageOf('luks');
    await expect(openGuestDisk(image, { passphrase })).rejects.toMatchObject({
      code: 'UNSUPPORTED_ENCRYPTION',
    });
    const cryptography = nodeCryptography();
    await expect(openGuestDisk(image, { passphrase, cryptography })).rejects.toMatchObject({
      code: 'PASSPHRASE_WRONG',
    });
  });

  test('a hash whose digest has no bytes is refused, and asked no further', async () => {
    const cryptography = { ...nodeCryptography(), digest: () => new Uint8Array(0) };
    const passphrase = new TextEncoder().encode(recipe('luks').secret);
    const opening = openGuestDisk(await imageOf('luks'), { passphrase, cryptography });
    await expect(opening).rejects.toMatchObject({
      code: 'UNSUPPORTED_ENCRYPTION',
      details: { structure: 'encryption header', actual: 'sha256' },
    });
  });

  test('any range of an encrypted disk, at odd places too', async () => {
    const passphrase = new TextEncoder().encode(recipe('luks').secret);
    const image = await imageOf('luks');
    const options = { passphrase, cryptography: nodeCryptography() };
    const whole = await readAll(image, options);
    expect(whole.subarray(0, 65_536).every((byte) => byte === 0x21)).toBe(true);
    const disk = await openGuestDisk(image, options);
    const into = new Uint8Array(1001);
    await disk.readBatch([{ at: 65_000, into }]);
    expect(into).toEqual(whole.slice(65_000, 66_001));
  });
});

describe('entries that can not be right', () => {
  const cases: readonly (readonly [string, (entry: bigint) => bigint, RegExp])[] = [
    ['reserved bits', (entry) => entry | (1n << 57n), /has reserved bits set$/],
    ['misaligned', (entry) => entry | 0x200n, /does not point at a cluster boundary$/],
    ['past the end', (entry) => entry | (1n << 45n), /points outside the file$/],
    ['packed past the end', () => (1n << 62n) | (1n << 45n), /points outside the file$/],
  ];
  test.each(cases)('%s', async (_, change, message) => {
    const image = await imageOf('version-3', withEntry(change));
    const failure = { code: 'IMAGE_DAMAGED', details: { structure: 'L2 table', entry: 0 } };
    await expect(readAll(image)).rejects.toMatchObject(failure);
    await expect(readAll(image)).rejects.toThrow(message);
    await expect(extentsOf(await openGuestDisk(image))).rejects.toMatchObject(failure);
  });

  test('bit 0 in version 2, which QEMU refuses as well', async () => {
    const image = await imageOf(
      'version-2',
      withEntry((entry) => entry | 1n),
    );
    for (const tolerant of [false, true]) {
      await expect(readAll(image, { tolerant })).rejects.toThrow(/has reserved bits set$/);
    }
  });

  test('QEMU takes reserved bits, and reads zeros past the end', async () => {
    const odd = await imageOf(
      'version-3',
      withEntry((entry) => entry | (1n << 57n)),
    );
    const tolerant = await readAll(odd, { tolerant: true });
    const whole = await readAll(await imageOf('version-3'));
    expect(Buffer.compare(tolerant, whole)).toBe(0);
    const past = await imageOf(
      'version-3',
      withEntry((entry) => entry | (1n << 45n)),
    );
    const { clusterBytes } = past.geometry;
    const zeros = (await readAll(past, { tolerant: true })).subarray(0, clusterBytes);
    expect(zeros.every((byte) => byte === 0)).toBe(true);
  });

  test('an L1 entry past the end, and everything before it is mapped first', async () => {
    const image = await imageOf('version-3', (bytes, { header }) => {
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(header.activeL1.at, 0x0020_0000);
    });
    await expect(readAll(image)).rejects.toMatchObject({
      code: 'IMAGE_DAMAGED',
      details: { structure: 'active L1', entry: 0 },
    });
  });

  test('a subcluster that is allocated and zero', async () => {
    const image = await imageOf('extended-l2', (bytes, opened) => {
      bytes.fill(0xff, firstL2(bytes, opened) + 8, firstL2(bytes, opened) + 16);
    });
    await expect(readAll(image)).rejects.toThrow(/both allocated and zero$/);
  });

  test('compressed data that is none', async () => {
    const image = await imageOf('compressed-zlib');
    const disk = await openGuestDisk(image, {
      decompressor: { decompress: (_, packed) => Promise.resolve(packed.map(() => undefined)) },
    });
    const into = new Uint8Array(await disk.sizeBytes());
    await expect(disk.readBatch([{ at: 0, into }])).rejects.toMatchObject({
      code: 'CLUSTER_DATA_INVALID',
      kind: 'image',
    });
  });
});

describe('disks below', () => {
  test('what is left to a backing file that is not opened is said', async () => {
    const disk = await openGuestDisk(await imageOf('backing'));
    const kinds = (await extentsOf(disk)).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(['data', 'zero', 'backing']));
  });

  test('extents joined, apart as the layers have them, and of one layer alone', async () => {
    const image = await imageOf('backing');
    const size = image.header.diskSizeBytes;
    const below = new Uint8Array(size).fill(1);
    const disk = await openGuestDisk(image, { gate: gateOf({ [backingName(image)!]: below }) });
    const told = async (layers: 'joined' | 'apart' | 'own'): Promise<readonly Extent[]> => {
      const all: Extent[] = [];
      for await (const batch of disk.extents(0, size, { layers })) all.push(...batch);
      return all;
    };
    const [joined, apart, own] = [await told('joined'), await told('apart'), await told('own')];
    expect(joined).toEqual(await extentsOf(disk));
    for (const extents of [joined, apart, own]) {
      let end = 0;
      for (const { start, length } of extents) {
        expect(start).toBe(end);
        end += length;
      }
      expect(end).toBe(size);
    }
    // The same bytes, and ends wherever one of the two layers has one.
    const ends = (extents: readonly Extent[]) => extents.map(({ start, length }) => start + length);
    expect(ends(apart)).toEqual(
      [...new Set([...ends(joined), ...ends(own)])].sort((a, b) => a - b),
    );
    expect(new Set(own.map(({ depth }) => depth))).toEqual(new Set([0]));
    expect(own.some(({ kind }) => kind === 'unallocated')).toBe(true);
    expect(apart.some(({ kind }) => kind === 'unallocated')).toBe(false);
  });

  test('a chain that leads back to itself', async () => {
    const bytes = loadFixture('backing-chain');
    const image = await openImage(memoryDevice(bytes));
    const gate = gateOf({ 'base.qcow2': bytes });
    await expect(openGuestDisk(image, { gate })).rejects.toMatchObject({ code: 'BACKING_LOOP' });
  });

  test('a chain without end', async () => {
    const bytes = loadFixture('backing-chain');
    let number = 0;
    const gate: Gate = {
      ...gateOf({}),
      openBacking: () => {
        const source = memoryDevice(bytes);
        return Promise.resolve({ source, format: 'qcow2', identity: String(number++) });
      },
    };
    const opening = openGuestDisk(await openImage(memoryDevice(bytes)), { gate });
    await expect(opening).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  test('a shorter backing file reads as zeros past its end', async () => {
    const image = await imageOf('backing');
    const gate = gateOf({ 'base.raw': new Uint8Array(70_000).fill(9) });
    const whole = await readAll(image, { gate });
    expect(whole.subarray(0, 65_536).every((byte) => byte === 9)).toBe(true);
    expect(whole.subarray(196_608, 262_144).every((byte) => byte === 0)).toBe(true);
    const extents = await extentsOf(await openGuestDisk(image, { gate }));
    expect(extents.at(-1)).toMatchObject({ kind: 'unallocated', depth: 0 });
    expect(extents[0]).toMatchObject({ kind: 'data', depth: 1, at: 0, length: 65_536 });
  });
});

describe('sizes', () => {
  test('a snapshot has its own, and never the VM state behind it', async () => {
    const image = await imageOf('vm-state');
    for (const snapshot of image.snapshots) {
      const disk = await openGuestDisk(image, { snapshot });
      const into = new Uint8Array(4096).fill(0xee);
      await disk.readBatch([{ at: snapshot.diskSizeBytes - 2048, into }]);
      expect(into.subarray(2048).every((byte) => byte === 0)).toBe(true);
      expect(await disk.sizeBytes()).toBe(snapshot.diskSizeBytes);
    }
  });

  test.each(['dirty', 'corrupt', 'empty-disk', 'empty-disk-snapshot'])(
    '%s can be read',
    async (f) => {
      const image = await imageOf(f);
      expect(await readAll(image)).toHaveLength(image.header.diskSizeBytes);
    },
  );

  test('a raw disk counts in sectors where QEMU would', async () => {
    const source = memoryDevice(new Uint8Array(700).fill(1));
    expect(await (await rawDisk(source)).sizeBytes()).toBe(700);
    const disk = await rawDisk(source, { tolerant: true });
    expect(await disk.sizeBytes()).toBe(1024);
    expect(await extentsOf(disk)).toEqual([
      { start: 0, length: 700, kind: 'data', depth: 0, at: 0 },
      { start: 700, length: 324, kind: 'zero', depth: 0, at: 700 },
    ]);
  });
});

test('tables are read once while a disk is read in steps', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  const reads: number[] = [];
  const image = await openImage({
    ...device,
    label: 'counted',
    sizeBytes: () => device.sizeBytes(),
    close: () => device.close(),
    readBatch: (requests) => {
      reads.push(...requests.map(({ at }) => at));
      return device.readBatch(requests);
    },
  });
  const disk = await openGuestDisk(image);
  const l2 = firstL2(loadFixture('five-snapshots'), image);
  for (let at = 0; at < (await disk.sizeBytes()); at += 65_536) {
    await disk.readBatch([{ at, into: new Uint8Array(65_536) }]);
  }
  expect(reads.filter((at) => at === l2)).toHaveLength(1);
});
