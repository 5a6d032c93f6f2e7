/** Empty images have the bytes that qemu-img create writes. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createImage, memoryDevice, type CreateImageOptions } from '../../src/index.js';
import { describeWithQemu, qemuImg, temporaryDirectory } from '../support/qemu.js';
import { roundsOf } from '../support/model-random.js';
import { PLAIN } from '../support/new-image.js';

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

async function expectSameBytes(changes: Changes): Promise<void> {
  const options: CreateImageOptions = { ...PLAIN, ...changes };
  const directory = temporaryDirectory();
  await qemuImg([...wordsOf(options), String(options.diskSizeBytes)], { cwd: directory });
  const theirs = readFileSync(path.join(directory, 'image'));
  const device = memoryDevice();
  await createImage(device, options);
  const ours = device.snapshotBytes();
  expect(ours.length).toBe(theirs.length);
  if (theirs.equals(ours)) return;
  const differs = theirs.findIndex((byte, at) => byte !== ours[at]);
  expect(differs, `the first byte that differs, in ${JSON.stringify(options)}`).toBe(-1);
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
  { clusterBytes: 512, diskSizeBytes: 64 * GIB, refcountBits: 64 },
  { clusterBytes: 512, diskSizeBytes: 128 * GIB, refcountBits: 32 },
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

const KINDS: readonly Changes[] = [
  { diskSizeBytes: 0 },
  { diskSizeBytes: 512 },
  { diskSizeBytes: 9 * MIB + 1536 },
  { diskSizeBytes: 12 * MIB, refcountBits: 64 },
  { diskSizeBytes: 12 * MIB, refcountBits: 1 },
  { diskSizeBytes: 12 * MIB, version: 2 },
  { diskSizeBytes: 20 * MIB, extendedL2: true },
];

/** A plain run tries every pair of choices, one with QSNAP_ROUNDS above 1 all three together. */
const PREALLOCATED: Changes[] = (['metadata', 'falloc', 'full'] as const).flatMap(
  (preallocation, i) =>
    [512, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, MIB, 2 * MIB].flatMap((clusterBytes, j) =>
      KINDS.flatMap((kind, k) => {
        if (kind.extendedL2 === true && clusterBytes < 16 * KIB) return [];
        // In each pair of rows and columns some third one has each remainder.
        if (roundsOf(1) === 1 && (i + j + k) % 3 !== 0) return [];
        return [{ preallocation, clusterBytes, ...kind }];
      }),
    ),
);

const LARGE: Changes[] = [
  { preallocation: 'metadata', diskSizeBytes: 1.5 * GIB, clusterBytes: 4 * KIB },
  { preallocation: 'metadata', diskSizeBytes: 300 * MIB, clusterBytes: KIB },
  { preallocation: 'falloc', diskSizeBytes: 100 * MIB, clusterBytes: 512 },
];

const titled = (sets: readonly Changes[]) =>
  sets.map((changes) => ({ changes, title: JSON.stringify(changes).slice(0, 110) }));

describeWithQemu('new empty images', () => {
  test.each(titled(SETS))('$title', ({ changes }) => expectSameBytes(changes));
  test.each(titled(PREALLOCATED))('$title', ({ changes }) => expectSameBytes(changes));
  test.each(titled(LARGE))('large: $title', ({ changes }) => expectSameBytes(changes));
});
