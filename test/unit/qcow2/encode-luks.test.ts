import { expect, test } from 'vitest';
import { encodeLuksHeader, encodeLuksSlot, luksSlotAt } from '../../../src/qcow2/encode-luks.js';
import { LUKS_HEADER_BYTES, parseLuksHeader, type LuksSlot } from '../../../src/qcow2/luks.js';

const slot = (i: number): LuksSlot => ({
  active: i === 6,
  iterations: i * 1000,
  salt: new Uint8Array(32).fill(i),
  stripes: 4000,
  keyOffset: 4096 * (1 + i),
});

const HEADER = {
  cipherName: 'aes',
  cipherMode: 'cbc',
  ivGenerator: 'essiv',
  ivHash: 'sha256',
  hash: 'sha1',
  masterKeyBytes: 16,
  masterKeyIterations: 1234,
  masterKeySalt: new Uint8Array(32).fill(1),
  masterKeyDigest: new Uint8Array(20).fill(2),
  payloadOffset: 4096 * 9,
  uuid: '1df98d60-a055-4ca4-b5f2-e01200a5b91f',
  slots: Array.from({ length: 8 }, (_, i) => slot(i)),
};

test('a header decodes to what it was made of', () => {
  const bytes = encodeLuksHeader(HEADER);
  expect(bytes.length).toBe(LUKS_HEADER_BYTES);
  expect(parseLuksHeader(bytes)).toEqual(HEADER);
});

test.each([undefined, 'sha256'])('the mode is one word: with the hash %s', (ivHash) => {
  const bytes = encodeLuksHeader({ ...HEADER, ivHash });
  const words = Buffer.from(bytes.subarray(40, 72)).toString('latin1').replace(/\0+$/, '');
  expect(words).toBe(ivHash === undefined ? 'cbc-essiv' : 'cbc-essiv:sha256');
});

test('slots lie where the format places them, used or not', () => {
  const bytes = encodeLuksHeader(HEADER);
  expect([0, 7].map(luksSlotAt)).toEqual([208, 544]);
  expect(bytes.slice(luksSlotAt(6), luksSlotAt(7))).toEqual(encodeLuksSlot(slot(6)));
  const word = (i: number) => Buffer.from(encodeLuksSlot(slot(i))).readUInt32BE(0);
  expect([word(6), word(0)]).toEqual([0x00ac71f3, 0x0000dead]);
});
