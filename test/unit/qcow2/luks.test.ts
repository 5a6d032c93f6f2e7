import { expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { LUKS_HEADER_BYTES, parseLuksHeader } from '../../../src/qcow2/luks.js';

function text(bytes: Uint8Array, at: number, value: string): void {
  bytes.set(new TextEncoder().encode(value), at);
}

/** A header with two active slots, written field by field as the format's figures place them. */
function header(cipherMode = 'xts-plain64'): Uint8Array {
  const bytes = new Uint8Array(LUKS_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe, 0x00, 0x01]);
  text(bytes, 8, 'aes');
  text(bytes, 40, cipherMode);
  text(bytes, 72, 'sha256');
  view.setUint32(104, 4040);
  view.setUint32(108, 64);
  view.setUint32(164, 1_749_260);
  text(bytes, 168, '1df98d60-a055-4ca4-b5f2-e01200a5b91f');
  for (let slot = 0; slot < 8; slot++) {
    const at = 208 + slot * 48;
    view.setUint32(at, slot === 0 || slot === 7 ? 0x00ac71f3 : 0x0000dead);
    view.setUint32(at + 4, slot * 1000);
    view.setUint32(at + 40, 8 + slot * 504);
    view.setUint32(at + 44, 4000);
  }
  return bytes;
}

test('every field of a header, in bytes and decoded', () => {
  const luks = parseLuksHeader(header());
  expect(luks).toMatchObject({
    cipherName: 'aes',
    cipherMode: 'xts',
    ivGenerator: 'plain64',
    ivHash: undefined,
    hash: 'sha256',
    masterKeyBytes: 64,
    masterKeyIterations: 1_749_260,
    payloadOffset: 2_068_480,
    uuid: '1df98d60-a055-4ca4-b5f2-e01200a5b91f',
  });
  expect(luks.slots.map(({ active }) => active)).toEqual([
    true,
    ...Array.from({ length: 6 }, () => false),
    true,
  ]);
  expect(luks.slots[7]).toMatchObject({
    active: true,
    iterations: 7000,
    stripes: 4000,
    keyOffset: 1_810_432,
  });
});

test.each([
  ['cbc-essiv:sha256', 'cbc', 'essiv', 'sha256'],
  ['cbc-plain', 'cbc', 'plain', undefined],
  ['ecb', 'ecb', '', undefined],
])('cipher mode %s', (written, cipherMode, ivGenerator, ivHash) => {
  expect(parseLuksHeader(header(written))).toMatchObject({ cipherMode, ivGenerator, ivHash });
});

test('text fields that fill their room have no zero at the end', () => {
  const bytes = header();
  text(bytes, 72, 'h'.repeat(32));
  expect(parseLuksHeader(bytes).hash).toBe('h'.repeat(32));
});

const BROKEN: readonly (readonly [what: string, bytes: () => Uint8Array, at: number])[] = [
  ['is too short', () => header().subarray(0, LUKS_HEADER_BYTES - 1), 4096],
  ['has another magic', () => header().fill(0x20, 0, 1), 4096],
  ['has another magic in its last bytes', () => header().fill(0x20, 5, 6), 4096],
  ['is version 2', () => header().fill(2, 7, 8), 4102],
];

test.each(BROKEN)('a header that %s', (_, bytes, at) => {
  let thrown: unknown;
  try {
    parseLuksHeader(bytes(), 4096);
  } catch (error) {
    thrown = error;
  }
  if (!isQsnapError(thrown)) throw new Error('expected a QsnapError');
  expect(thrown.code).toBe('EXTENSION_INVALID');
  expect(thrown.details).toMatchObject({ structure: 'encryption header', at });
});
