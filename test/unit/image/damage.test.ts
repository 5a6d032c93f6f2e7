import { expect, test } from 'vitest';
import { damaged, damagedEntry } from '../../../src/image/damage.js';

test('a finding becomes an error with its place and what to do', () => {
  const error = damaged({ structure: 'L2 table', at: 512, message: 'it is wrong', expected: 'so' });
  expect(error).toMatchObject({
    code: 'IMAGE_DAMAGED',
    message: 'the image is damaged: it is wrong',
    details: { structure: 'L2 table', at: 512, expected: 'so' },
  });
  expect(error.details.hint).toContain('a check shows');
});

test('E2: an entry is printed with all of its 64 bits', () => {
  const error = damagedEntry('L2 table', 0x20018, 'misaligned', 0x8000_0000 | 0, 0xffff_fe01 | 0);
  expect(error.message).toContain(
    'the L2 table entry at 0x20018 (0x80000000fffffe01) does not point at a cluster',
  );
  expect(error.details.actual).toBe('0x80000000fffffe01');
});
