/**
 * Empty images have the bytes that qemu-img create writes. With QSNAP_ROUNDS those, too, for which
 * QEMU needs half a minute each.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  createImage,
  memoryDevice,
  type BlockDevice,
  type CreateImageOptions,
} from '../../src/index.js';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { PLAIN } from '../support/new-image.js';
import { oneIn, oneInWithEach } from '../support/left-out.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

type Changes = Partial<CreateImageOptions>;

/** The same options in qemu-img's words. */
function wordsOf(options: CreateImageOptions): string[] {
  const { backing, dataFile } = options;
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const words = [
    `compat=${options.version === 2 ? '0.10' : '1.1'}`,
    `cluster_size=${options.clusterBytes}`,
    `refcount_bits=${options.refcountBits}`,
    `extended_l2=${options.extendedL2 ? 'on' : 'off'}`,
    `lazy_refcounts=${options.lazyRefcounts ? 'on' : 'off'}`,
    `compression_type=${options.compressionType}`,
    `preallocation=${options.preallocation ?? 'off'}`,
    ...(backing === undefined ? [] : [`backing_file=${text(backing.name)}`]),
    ...(backing?.format === undefined ? [] : [`backing_fmt=${backing.format}`]),
    ...(dataFile === undefined ? [] : [`data_file=${text(dataFile.name)}`]),
    ...(dataFile === undefined ? [] : [`data_file_raw=${dataFile.raw ? 'on' : 'off'}`]),
  ];
  return ['create', '-q', '-u', '-f', 'qcow2', '-o', words.join(','), 'image'];
}

const PIECE_BYTES = 4 * MIB;

async function expectSameBytes(changes: Changes): Promise<void> {
  const options: CreateImageOptions = { ...PLAIN, ...changes };
  const directory = memoryDirectory();
  await qemuImg([...wordsOf(options), String(options.diskSizeBytes)], { cwd: directory });
  const device = memoryDevice();
  await createImage(device, options);
  const differs = await firstDifference(path.join(directory, 'image'), device);
  expect(differs, `the first byte that differs, in ${JSON.stringify(options)}`).toBe(-1);
}

/** The first place where a file and a device of the same length differ, or -1. */
async function firstDifference(file: string, device: BlockDevice): Promise<number> {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    expect(await device.sizeBytes()).toBe(size);
    const [theirs, ours] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];
    for (let at = 0; at < size; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, size - at);
      expect(readSync(fd, theirs, 0, length, at)).toBe(length);
      await device.readBatch([{ at, into: ours.subarray(0, length) }]);
      if (theirs.compare(ours, 0, length, 0, length) === 0) continue;
      return at + theirs.findIndex((byte, i) => byte !== ours[i]);
    }
    return -1;
  } finally {
    closeSync(fd);
  }
}

const SIZES = [0, 512, 1024, 130 * KIB, MIB, 100_000 * 512, 64 * GIB, TIB];
const CLUSTERS = [512, KIB, 2 * KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 2 * MIB];
const WIDTHS = [1, 2, 4, 8, 16, 32, 64] as const;
const base = { name: utf8('base'), format: 'qcow2' };

const SETS: Changes[] = [
  ...SIZES.flatMap((diskSizeBytes) => [{ diskSizeBytes }, { diskSizeBytes, version: 2 as const }]),
  ...CLUSTERS.flatMap((clusterBytes) =>
    WIDTHS.map((refcountBits) => ({ clusterBytes, refcountBits, diskSizeBytes: 300 * MIB })),
  ),
  { clusterBytes: 512, diskSizeBytes: 64 * GIB },
  { clusterBytes: 512, diskSizeBytes: 16 * GIB, refcountBits: 64 },
  { clusterBytes: 512, diskSizeBytes: 32 * GIB, refcountBits: 32 },
  { clusterBytes: 512, diskSizeBytes: 128 * GIB },
  { clusterBytes: 2 * KIB, diskSizeBytes: TIB, refcountBits: 64 },
  { clusterBytes: 2 * MIB, diskSizeBytes: 1024 * TIB },
  { lazyRefcounts: true },
  { compressionType: 'zstd' },
  { extendedL2: true, lazyRefcounts: true, compressionType: 'zstd', clusterBytes: 16 * KIB },
  { extendedL2: true, diskSizeBytes: TIB },
  { backing: base },
  { backing: base, version: 2 },
  { backing: base, clusterBytes: 512 },
  { backing: base, extendedL2: true, preallocation: 'metadata' },
  { backing: base, extendedL2: true, preallocation: 'falloc' },
  { backing: { name: utf8('x'.repeat(1023)), format: 'raw' } },
  { backing: { name: utf8('x'.repeat(300)), format: 'raw' }, version: 2, clusterBytes: 512 },
  { backing: { name: utf8('ä ü'), format: 'vmdk' }, clusterBytes: 4 * KIB },
  { dataFile: { name: utf8('data'), raw: false } },
  { dataFile: { name: utf8('data'), raw: true } },
  { dataFile: { name: utf8('data'), raw: false }, backing: base },
  { dataFile: { name: utf8('data'), raw: false }, preallocation: 'metadata' },
  { dataFile: { name: utf8('data'), raw: true }, preallocation: 'falloc', clusterBytes: 512 },
  { dataFile: { name: utf8('data'), raw: true }, diskSizeBytes: 64 * GIB },
];

const PREALLOCATED: Changes[] = (['metadata', 'falloc', 'full'] as const).flatMap((preallocation) =>
  [512, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, MIB, 2 * MIB].flatMap((clusterBytes) => [
    { preallocation, clusterBytes, diskSizeBytes: 0 },
    { preallocation, clusterBytes, diskSizeBytes: 512 },
    { preallocation, clusterBytes, diskSizeBytes: 9 * MIB + 1536 },
    { preallocation, clusterBytes, diskSizeBytes: 12 * MIB, refcountBits: 64 as const },
    { preallocation, clusterBytes, diskSizeBytes: 12 * MIB, refcountBits: 1 as const },
    { preallocation, clusterBytes, diskSizeBytes: 12 * MIB, version: 2 as const },
    ...(clusterBytes < 16 * KIB
      ? []
      : [{ preallocation, clusterBytes, diskSizeBytes: 20 * MIB, extendedL2: true }]),
  ]),
);

const LARGE: Changes[] = [
  { preallocation: 'metadata', diskSizeBytes: 1.125 * GIB, clusterBytes: 4 * KIB },
  { preallocation: 'metadata', diskSizeBytes: 300 * MIB, clusterBytes: KIB },
  { preallocation: 'falloc', diskSizeBytes: 100 * MIB, clusterBytes: 512 },
];

/** QEMU makes a table of refcounts that grows again and again. */
const SLOW: Changes[] = [
  { clusterBytes: 512, diskSizeBytes: 64 * GIB, refcountBits: 64 },
  { clusterBytes: 512, diskSizeBytes: 128 * GIB, refcountBits: 32 },
  { preallocation: 'metadata', diskSizeBytes: 1.5 * GIB, clusterBytes: 4 * KIB },
];
const isLong = process.env['QSNAP_ROUNDS'] !== undefined;

const titled = (sets: readonly Changes[]) =>
  sets.map((changes) => ({ changes, title: JSON.stringify(changes).slice(0, 110) }));

/** Options with their values, but for sizes, of which there are as many as sets. */
const optionsOf = ({ diskSizeBytes: _, ...changes }: Changes): readonly string[] =>
  Object.entries(changes).map((option) => JSON.stringify(option));

describeWithQemu('new empty images', () => {
  test.each(titled(oneInWithEach(5, SETS, optionsOf)))('$title', ({ changes }) =>
    expectSameBytes(changes),
  );
  test.each(titled(oneInWithEach(10, PREALLOCATED, optionsOf)))('$title', ({ changes }) =>
    expectSameBytes(changes),
  );
  test.each(titled(oneIn(3, LARGE, 2)))('large: $title', ({ changes }) => expectSameBytes(changes));
  const slow = isLong ? SLOW : [];
  console.log(`${slow.length} of ${SLOW.length} slow images (QSNAP_ROUNDS=1 makes all)`);
  if (isLong) {
    test.each(titled(SLOW))('slow: $title', { timeout: 240_000 }, ({ changes }) =>
      expectSameBytes(changes),
    );
  }
});
