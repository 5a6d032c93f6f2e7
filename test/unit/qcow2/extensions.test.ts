import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { parseExtensions } from '../../../src/qcow2/extensions.js';
import { parseHeader, type Header } from '../../../src/qcow2/header.js';
import { hexOfBytes } from '../../../src/base/text.js';
import { expectedText, loadFixture } from '../../support/fixture.js';
import { bytesOf, patchedHead } from './header-bytes.js';

const header = parseHeader(patchedHead('cluster-4k'), 2 ** 31);

/** A first cluster of 4 KiB with these bytes where extensions begin. */
function parse(hex: string, of: Partial<Header> = {}) {
  const cluster = new Uint8Array(4096);
  cluster.set(bytesOf(hex), header.headerBytes);
  return parseExtensions(cluster, { ...header, ...of });
}

function refusalOf(hex: string, of: Partial<Header> = {}): unknown {
  try {
    return parse(hex, of);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return error.code;
  }
}

const START = header.headerBytes;

test('QEMU writes 0xe2792aca for the backing format, at byte 112', () => {
  const bytes = loadFixture('backing');
  const { extensions } = parseExtensions(bytes, parseHeader(bytes, bytes.length));
  expect(hexOfBytes(bytes.subarray(112, 116))).toBe('e2792aca');
  expect(extensions[0]).toMatchObject({ kind: 'backing-format', at: 112 });
  expect(new TextDecoder().decode(extensions[0]!.bytes)).toBe('raw');
  expect(expectedText('backing', 'info.txt')).toContain('backing file format: raw');
});

test('H5: unknown extensions are kept, in order, without their padding', () => {
  const { extensions, endAt } = parse(`
    12345678 00000003 aabbcc0000000000
    e2792aca 00000005 71636f7732000000
    9abcdef0 00000000
    00000000 00000000  ffffffffffffffff`);
  expect(extensions).toEqual([
    { kind: 'unknown', type: 0x12345678, at: START, bytes: bytesOf('aabbcc') },
    { kind: 'backing-format', at: START + 16, bytes: bytesOf('71636f7732') },
    { kind: 'unknown', type: 0x9abcdef0, at: START + 32, bytes: new Uint8Array(0) },
  ]);
  expect(endAt).toBe(START + 48);
});

test('H1: in version 2 they begin at byte 72', () => {
  const bytes = loadFixture('backing-v2');
  const { extensions } = parseExtensions(bytes, parseHeader(bytes, bytes.length));
  expect(extensions.map(({ kind, at }) => ({ kind, at }))).toEqual([
    { kind: 'backing-format', at: 72 },
  ]);
});

describe('H6: what does not fit is refused', () => {
  const left = 4096 - START - 8;
  test.each([
    [`11111111 ${left.toString(16).padStart(8, '0')}`, {}, undefined],
    [`11111111 ${(left + 1).toString(16).padStart(8, '0')}`, {}, 'EXTENSION_INVALID'],
    ['11111111 ffffffff', {}, 'EXTENSION_INVALID'],
    ['11111111 00000080', { backingName: { at: START + 64, bytes: 3 } }, 'EXTENSION_INVALID'],
    ['11111111 00000008', { backingName: { at: START + 16, bytes: 3 } }, undefined],
  ])('%s %j', (hex, of, code) => {
    const result = refusalOf(hex, of);
    if (code === undefined) expect(result).toHaveProperty('extensions.length', 1);
    else expect(result).toBe(code);
  });
});

describe('bitmaps extension', () => {
  const bitmaps = (count: string, reserved: string, size: string, at: string): string =>
    `23852875 00000018 ${count} ${reserved} ${size} ${at}`;
  const sound = bitmaps('00000002', '00000000', '0000000000000040', '0000000000009000');
  const trusted = { bitmapsConsistent: true };

  test('is read field by field', () => {
    expect(parse(sound, trusted).extensions).toMatchObject([
      { kind: 'bitmaps', bitmaps: { bitmapCount: 2, directoryBytes: 64, directoryAt: 0x9000 } },
    ]);
  });

  test.each([
    ['no bitmap', bitmaps('00000000', '00000000', '0000000000000040', '0000000000009000')],
    ['65,536 bitmaps', bitmaps('00010000', '00000000', '0000000000000040', '0000000000009000')],
    ['reserved', bitmaps('00000001', '00000001', '0000000000000040', '0000000000009000')],
    ['unaligned', bitmaps('00000001', '00000000', '0000000000000040', '0000000000009008')],
    ['at the header', bitmaps('00000001', '00000000', '0000000000000040', '0000000000000000')],
    ['above 64 MiB', bitmaps('00000001', '00000000', '0000000004000001', '0000000000009000')],
    ['of 16 bytes', '23852875 00000010 00000001 00000000 0000000000000040'],
  ])('H4, R10: %s is refused', (_, hex) => {
    expect(refusalOf(hex, trusted)).toBe('EXTENSION_INVALID');
  });

  test('H4: bitmaps that nobody trusts are not judged', () => {
    const odd = bitmaps('00000000', '00000001', '0000000004000001', '0000000000009008');
    expect(refusalOf(odd, { bitmapsConsistent: false })).toHaveProperty('extensions.length', 1);
  });
});

describe('H9: encryption header pointer', () => {
  const pointer = '0537be77 00000010 0000000000004000 00000000001f9000';

  test('names the clusters of the LUKS header', () => {
    expect(parse(pointer, { encryption: 'luks' }).extensions).toMatchObject([
      { kind: 'encryption-header', header: { at: 0x4000, bytes: 0x1f9000 } },
    ]);
  });

  // Seen as a value alone: other programs give no answer about such an image.
  test('may be missing', () => {
    expect(parse('00000000 00000000', { encryption: 'luks' }).extensions).toEqual([]);
  });

  test.each([
    [pointer, 'none'],
    [pointer, 'aes'],
    ['0537be77 00000010 0000000000004200 00000000001f9000', 'luks'],
    ['0537be77 00000010 0000000000000000 00000000001f9000', 'luks'],
    ['0537be77 00000010 0000000000004000 0000000100000000', 'luks'],
    ['0537be77 00000008 0000000000004000', 'luks'],
  ] as const)('%s with encryption %s is refused', (hex, encryption) => {
    expect(refusalOf(hex, { encryption })).toBe('EXTENSION_INVALID');
  });
});

test('H8: the data file name is kept as bytes', () => {
  expect(parse('44415441 00000003 ff2e6400').extensions).toEqual([
    { kind: 'data-file-name', at: START, bytes: bytesOf('ff2e64') },
  ]);
});
