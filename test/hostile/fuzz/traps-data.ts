/** Traps in L1 and L2 tables, compressed data, bitmaps, LUKS headers and holes. */
import { deflateRawSync } from 'node:zlib';
import { at, CLUSTER, compressedEntry, EXTENSION, PLACE, type Patch } from './plain-image.js';
import { fill, MAX32, MAX64, made, patched, text, trap, type Trap } from './trap.js';

const COPIED = 1n << 63n;
const PACKED_ENTRY = at('l2', 16);

/** The same entry in every place of the L1 or the L2 table. */
function looped(place: 'activeL1' | 'l2', target: bigint): () => Uint8Array {
  return () => patched(fill(at(place), target));
}

const TABLES: readonly Trap[] = [
  trap('A13: an L2 table that is the header', true, [[at('activeL1'), 8, 512]]),
  trap('A13: an L1 entry that is 0 with COPIED', true, [[at('activeL1'), 8, COPIED]]),
  trap('A13: an L2 table that is its own L1', true, [[at('activeL1'), 8, at('activeL1')]]),
  trap('A13: an L2 table that is the refcount block', true, [
    [at('activeL1'), 8, at('refcountBlock')],
  ]),
  trap('A13: an L2 table that is the snapshot table', true, [
    [at('activeL1'), 8, at('snapshotTable')],
  ]),
  trap('A13: an L2 table past the end of the file', true, [[at('activeL1'), 8, at('end')]]),
  trap('A13: an L2 table at 2^56 - 512', true, [[at('activeL1'), 8, (1n << 56n) - 512n]]),
  trap('A13: every bit of an L1 entry', true, [[at('activeL1'), 8, MAX64]]),
  trap('A13: data that is the header', true, [[at('l2'), 8, 512n | COPIED]]),
  trap('A13: data that is its own L2 table', true, [[at('l2'), 8, at('l2')]]),
  trap('A13: every bit of an L2 entry', true, [[at('l2'), 8, MAX64]]),
  made('A13: an L2 table of nothing but itself', true, looped('l2', BigInt(at('l2')))),
  made('A13: an L2 table of nothing but the header', true, looped('l2', 512n)),
  made('A15: one data cluster in every place of the disk', true, looped('l2', BigInt(at('data')))),
  made('A15: 512 L1 entries with one L2 table', true, () =>
    patched([...fill(at('activeL1'), BigInt(at('l2'))), [36, 4, 512], [24, 8, 2 ** 30]]),
  ),
  made('A15: 512 L1 entries with one L2 table of one data cluster', true, () =>
    patched([
      ...fill(at('activeL1'), BigInt(at('l2'))),
      ...fill(at('l2'), BigInt(at('data'))),
      ...([
        [36, 4, 512],
        [24, 8, 2 ** 30],
      ] as const),
    ]),
  ),
  trap('A8: every kind of zero cluster in version 2', true, [[at('l2', 8), 8, 1]], { version: 2 }),
];

/** A stream in the place of the packed cluster, and an entry that says how long it is. */
function packed(
  stream: Uint8Array,
  patches: readonly Patch[] = [],
  zstd = false,
): () => Uint8Array {
  const sectors = Math.min(Math.ceil(stream.length / 512), 7);
  return () =>
    patched(
      [[PACKED_ENTRY, 8, compressedEntry(at('packed'), Math.max(0, sectors - 1))], ...patches],
      { zstd },
      [[at('packed'), stream.subarray(0, CLUSTER)]],
    );
}

/** A zstd frame: magic, descriptor, window or size, and one block of a byte that is repeated. */
function zstdFrame(header: readonly number[], repeats: number): Uint8Array {
  const block = 1 | (1 << 1) | (repeats << 3);
  const bytes = [block & 255, (block >> 8) & 255, (block >> 16) & 255, 0x41];
  return new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, ...header, ...bytes]);
}

const COMPRESSED: readonly Trap[] = [
  trap('A10: compressed data past the end of the file', true, [
    [PACKED_ENTRY, 8, compressedEntry(at('end', 512), 7)],
  ]),
  trap('A10: compressed data that begins at the last byte of the file', true, [
    [PACKED_ENTRY, 8, compressedEntry(at('end', -1), 7)],
  ]),
  trap('A10: compressed data at the highest offset there is', true, [
    [PACKED_ENTRY, 8, MAX64 >> 1n],
  ]),
  trap('A10: compressed data that is the header', true, [[PACKED_ENTRY, 8, compressedEntry(0, 7)]]),
  trap('A10: compressed data with COPIED', true, [
    [PACKED_ENTRY, 8, compressedEntry(at('packed'), 0) | COPIED],
  ]),
  made(
    'A11: a deflate stream of 4 MiB in a cluster',
    true,
    packed(deflateRawSync(Buffer.alloc(2 ** 22))),
  ),
  made('A11: a deflate stream that is cut', true, packed(new Uint8Array([0x4b]))),
  made('A11: a deflate stream of empty blocks without end', true, packed(new Uint8Array(CLUSTER))),
  made(
    'A11: a deflate stream of nothing but 0xff',
    true,
    packed(new Uint8Array(CLUSTER).fill(255)),
  ),
  made(
    'A11: a zstd frame of 2^64 - 1 bytes',
    true,
    packed(zstdFrame([0xe0, 255, 255, 255, 255, 255, 255, 255, 255], 4096), [], true),
  ),
  made('A11: a zstd window of 3.75 TiB', true, packed(zstdFrame([0x00, 0xff], 4096), [], true)),
  made(
    'A11: a zstd block longer than the cluster',
    true,
    packed(zstdFrame([0x00, 0x58], 131_072), [], true),
  ),
  made(
    'A11: zstd frames of nothing',
    true,
    packed(
      new Uint8Array(Buffer.concat(Array.from({ length: 128 }, () => zstdFrame([0x00, 0x58], 0)))),
      [],
      true,
    ),
  ),
];

const [DIRECTORY, ENTRY] = [EXTENSION.bitmaps, at('bitmapDirectory')];
const bitmapTrap = (name: string, opens: Trap['opens'], patches: readonly Patch[]): Trap =>
  trap(name, opens, patches, { bitmaps: true });

const BITMAPS: readonly Trap[] = [
  bitmapTrap('H4: 2^32 - 1 bitmaps', 'EXTENSION_INVALID', [[DIRECTORY + 8, 4, MAX32]]),
  bitmapTrap('H4: no bitmaps', 'EXTENSION_INVALID', [[DIRECTORY + 8, 4, 0]]),
  bitmapTrap('H4: a bitmap directory of 2^64 - 1 bytes', 'LIMIT_EXCEEDED', [
    [DIRECTORY + 16, 8, MAX64],
  ]),
  bitmapTrap('H4: a bitmap directory at 2^64 - 4096', 'LIMIT_EXCEEDED', [
    [DIRECTORY + 24, 8, MAX64 - 4095n],
  ]),
  bitmapTrap('H4: a bitmap directory that is the header', 'EXTENSION_INVALID', [
    [DIRECTORY + 24, 8, 0],
  ]),
  bitmapTrap('H4: a bitmap table of 2^32 - 1 entries', 'BITMAPS_INVALID', [[ENTRY + 8, 4, MAX32]]),
  bitmapTrap('H4: a bitmap table at 2^63', 'LIMIT_EXCEEDED', [[ENTRY, 8, 1n << 63n]]),
  bitmapTrap('H4: a bitmap table past the end of the file', true, [[ENTRY, 8, at('end')]]),
  bitmapTrap('H4: bitmap data that is the refcount block', true, [
    [at('bitmapTable'), 8, at('refcountBlock')],
  ]),
  bitmapTrap('H4: a bitmap of granularity 2^255', true, [[ENTRY + 17, 1, 255]]),
  bitmapTrap('H4: a bitmap name of 65,535 bytes', 'BITMAPS_INVALID', [[ENTRY + 18, 2, 65_535]]),
  bitmapTrap('H4: a bitmap with extra data of 2^32 - 1 bytes', 'BITMAPS_INVALID', [
    [ENTRY + 20, 4, MAX32],
  ]),
  made('H4, E3: a bitmap name that a terminal obeys', true, () =>
    patched([], { bitmaps: true }, [[ENTRY + 24, text('\x1b[2J')]]),
  ),
];

const LUKS = at('luks');
const luksTrap = (name: string, opens: Trap['opens'], patches: readonly Patch[]): Trap =>
  trap(name, opens, patches, { luks: true });

const KEYS: readonly Trap[] = [
  luksTrap('H9: a LUKS header at 2^64 - 4096', 'LIMIT_EXCEEDED', [
    [EXTENSION.encryption + 8, 8, MAX64 - 4095n],
  ]),
  luksTrap('H9: a LUKS header of 2^64 - 1 bytes', 'LIMIT_EXCEEDED', [
    [EXTENSION.encryption + 16, 8, MAX64],
  ]),
  luksTrap('H9: a LUKS header that is the image header', 'EXTENSION_INVALID', [
    [EXTENSION.encryption + 8, 8, 0],
  ]),
  luksTrap('H9: a LUKS key of 2^32 - 1 bytes', true, [[LUKS + 108, 4, MAX32]]),
  luksTrap('H9: 2^32 - 1 rounds of the LUKS master key', true, [[LUKS + 164, 4, MAX32]]),
  luksTrap('H9: 2^32 - 1 rounds of a LUKS slot', true, [[LUKS + 212, 4, MAX32]]),
  luksTrap('H9: a LUKS slot of 2^32 - 1 stripes', true, [[LUKS + 252, 4, MAX32]]),
  luksTrap('H9: LUKS key material at 2 TiB', true, [[LUKS + 248, 4, MAX32]]),
  made('H9, E3: a LUKS cipher of control characters', true, () =>
    patched([], { luks: true }, [[LUKS + 8, text('\x1b[2J\n\x9b'.repeat(4))]]),
  ),
];

/** Without guest data: who finds some may count every cluster of the file, and would not come to an end. */
const withoutData = (): Uint8Array =>
  patched([
    ...[[at('l2'), 8, 0] as const, [at('l2', 16), 8, 0] as const],
    ...(['data', 'packed'] as const).map((place): Patch => [
      at('refcountBlock', 2 * PLACE[place]),
      2,
      0,
    ]),
  ]);

const HOLES: readonly Trap[] = [
  made('E4: 1 PiB of hole', true, withoutData, 2 ** 50),
  made('E4: 8 PiB of hole, less 512 bytes', true, withoutData, 2 ** 53 - 512),
  made('E4: 4 GiB of hole', true, () => patched([]), 2 ** 32),
  made('E4: a file that ends in its header', 'IMAGE_TRUNCATED', () => patched([]).slice(0, 100)),
  made('E4: a file that ends in its L2 table', 'IMAGE_TRUNCATED', () =>
    patched([]).slice(0, at('l2', 12)),
  ),
];

export const DATA_TRAPS: readonly Trap[] = [
  ...TABLES,
  ...COMPRESSED,
  ...BITMAPS,
  ...KEYS,
  ...HOLES,
];
