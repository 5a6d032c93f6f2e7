import { describe, expect, test } from 'vitest';
import { isQsnapError, type ErrorCode } from '../../../src/errors.js';
import { parseHeader } from '../../../src/qcow2/header.js';
import { HEADER_CHECKS } from '../../../src/qcow2/validate.js';
import { patchedHead } from './header-bytes.js';

type Patch = [number, string];

function refusalOf(fixture: string, patches: readonly Patch[], sizeBytes = 2 ** 31): unknown {
  try {
    parseHeader(patchedHead(fixture, ...patches), sizeBytes);
    return undefined;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { code: error.code, at: error.details.at };
  }
}

describe('what a header must be: version 3, clusters of 64 KiB', () => {
  test.each<[string, readonly Patch[], ErrorCode | undefined, number?]>([
    ['as QEMU made it', [], undefined],
    ['H13: other magic', [[0, '514649fc']], 'NOT_QCOW2', 0],
    ['H13: version 1', [[4, '00000001']], 'QCOW_VERSION_1', 4],
    ['H13: version 0', [[4, '00000000']], 'UNSUPPORTED_VERSION', 4],
    ['H13: version 4', [[4, '00000004']], 'UNSUPPORTED_VERSION', 4],
    ['H14: cluster_bits 8', [[20, '00000008']], 'HEADER_INVALID', 20],
    ['H14: cluster_bits 22', [[20, '00000016']], 'HEADER_INVALID', 20],
    ['H14: cluster_bits 2^32 - 1', [[20, 'ffffffff']], 'HEADER_INVALID', 20],
    ['H14: header_length 96', [[100, '00000060']], 'HEADER_INVALID', 100],
    ['H14: header_length 108', [[100, '0000006c']], 'HEADER_INVALID', 100],
    ['H14: header_length above a cluster', [[100, '00010008']], 'HEADER_INVALID', 100],
    [
      'H6: backing name of 1024 bytes',
      [
        [8, '0000000000000200'],
        [16, '00000400'],
      ],
      'HEADER_INVALID',
      8,
    ],
    [
      'H6: backing name of 1023 bytes',
      [
        [8, '0000000000000200'],
        [16, '000003ff'],
      ],
      undefined,
    ],
    [
      'H6: backing name over the cluster end',
      [
        [8, '000000000000fffe'],
        [16, '00000003'],
      ],
      'HEADER_INVALID',
      8,
    ],
    [
      'H6: backing name at 2^64 - 1',
      [
        [8, 'ffffffffffffffff'],
        [16, '00000002'],
      ],
      'HEADER_INVALID',
      8,
    ],
    ['no backing name: its length is undefined', [[16, 'ffffffff']], undefined],
    ['H2: incompatible bit 5', [[72, '0000000000000020']], 'UNSUPPORTED_FEATURE', 72],
    ['H2: incompatible bit 63', [[72, '8000000000000000']], 'UNSUPPORTED_FEATURE', 72],
    ['H2: unknown compatible bits', [[80, 'fffffffffffffffe']], undefined],
    ['H3: unknown autoclear bits', [[88, 'fffffffffffffffc']], undefined],
    ['H10: the bit without a type', [[72, '0000000000000008']], 'HEADER_INVALID', 104],
    ['H10: a type without the bit', [[104, '01']], 'HEADER_INVALID', 104],
    [
      'H10: zstd',
      [
        [72, '0000000000000008'],
        [104, '01'],
      ],
      undefined,
    ],
    [
      'H10: type 2',
      [
        [72, '0000000000000008'],
        [104, '02'],
      ],
      'HEADER_INVALID',
      104,
    ],
    ['H14: refcount_order 6', [[96, '00000006']], undefined],
    ['H14: refcount_order 7', [[96, '00000007']], 'HEADER_INVALID', 96],
    ['crypt_method 3', [[32, '00000003']], 'HEADER_INVALID', 32],
    ['R11: no refcount table', [[56, '00000000']], 'TABLE_INVALID', 56],
    ['R11: refcount table of 8 MiB', [[56, '00000080']], undefined],
    ['R11: refcount table above 8 MiB', [[56, '00000081']], 'TABLE_INVALID', 56],
    ['R11: 2^32 - 1 clusters of it', [[56, 'ffffffff']], 'TABLE_INVALID', 56],
    ['R11: refcount table over the header', [[48, '0000000000000000']], 'TABLE_INVALID', 48],
    ['A13: refcount table unaligned', [[48, '0000000000010200']], 'TABLE_INVALID', 48],
    ['A13: refcount table at 2^56', [[48, '0100000000000000']], 'TABLE_INVALID', 48],
    ['S8: 65,536 snapshots', [[60, '00010000']], undefined],
    ['S8: 65,537 snapshots', [[60, '00010001']], 'SNAPSHOT_TABLE_INVALID', 60],
    [
      'S12: no snapshots, no table',
      [
        [60, '00000000'],
        [64, '0000000000000000'],
      ],
      undefined,
    ],
    ['S12: snapshots, and a table at 0', [[64, '0000000000000000']], 'TABLE_INVALID', 64],
    ['A13: snapshot table unaligned', [[64, '0000000000010001']], 'TABLE_INVALID', 64],
    ['H14: L1 of 32 MiB', [[36, '00400000']], undefined],
    ['H14: L1 above 32 MiB', [[36, '00400001']], 'TABLE_INVALID', 36],
    [
      'H14: L1 too short for the disk',
      [
        [24, '0000000020000001'],
        [36, '00000001'],
      ],
      'TABLE_INVALID',
      36,
    ],
    [
      'H14: L1 just long enough',
      [
        [24, '0000000020000000'],
        [36, '00000001'],
      ],
      undefined,
    ],
    ['H14: a disk of 2^64 - 1 bytes', [[24, 'ffffffffffffffff']], 'TABLE_INVALID', 36],
    [
      'A14: a disk of size 0 without L1',
      [
        [24, '0000000000000000'],
        [36, '00000000'],
        [40, '0000000000000000'],
      ],
      undefined,
    ],
    ['L1 over the header', [[40, '0000000000000000']], 'TABLE_INVALID', 40],
    ['A13: L1 unaligned', [[40, '0000000000030008']], 'TABLE_INVALID', 40],
  ])('%s', (_, patches, code, at) => {
    expect(refusalOf('version-3', patches)).toEqual(code === undefined ? undefined : { code, at });
  });

  test('A12: extended L2 entries need clusters of 16 KiB; an L2 table then maps half as much', () => {
    const bit: Patch = [72, '0000000000000010'];
    expect(refusalOf('cluster-4k', [bit])).toEqual({ code: 'HEADER_INVALID', at: 20 });
    expect(refusalOf('version-3', [bit])).toBeUndefined();
    const size: Patch = [24, '0000000010000001'];
    expect(refusalOf('version-3', [size, [36, '00000001']])).toBeUndefined();
    expect(refusalOf('version-3', [bit, size, [36, '00000001']])).toEqual({
      code: 'TABLE_INVALID',
      at: 36,
    });
  });
});

describe('the first complaint is the one that QEMU has first', () => {
  test('a text file is not told about a number in it', () => {
    const text = new TextEncoder().encode('Dear all,\n'.repeat(60));
    expect(() => parseHeader(text, text.length)).toThrow('not a qcow2 image');
  });

  test.each([0, 1, 3, 4, 7])('a file of %d bytes', (length) => {
    const bytes = new Uint8Array(512);
    bytes.set(patchedHead('version-3').subarray(0, length));
    expect(() => parseHeader(bytes, length)).toThrow('not a qcow2 image');
  });

  test.each([
    ['version-2', 71, 'IMAGE_TRUNCATED'],
    ['version-3', 103, 'IMAGE_TRUNCATED'],
    ['version-3', 104, undefined],
  ] as const)('%s cut at byte %d', (fixture, length, code) => {
    const refused = refusalOf(fixture, [], length);
    expect(refused).toEqual(code === undefined ? undefined : { code, at: length });
  });

  test('cluster_bits is judged before the header length, and that before features', () => {
    const all: Patch[] = [
      [20, '00000008'],
      [100, '00000001'],
      [72, '0000000000000020'],
    ];
    expect(refusalOf('version-3', all)).toEqual({ code: 'HEADER_INVALID', at: 20 });
    expect(refusalOf('version-3', all.slice(1))).toEqual({ code: 'HEADER_INVALID', at: 100 });
    expect(HEADER_CHECKS).toHaveLength(11);
  });

  test('version 2 has no header length or features to be judged', () => {
    expect(
      refusalOf('version-2', [
        [100, 'ffffffff'],
        [72, 'ffffffffffffffff'],
      ]),
    ).toBeUndefined();
  });
});
