/**
 * Anybody can make an undo file with a right digest. `null` as its index ended in a TypeError, and one
 * whose `switchAt` was 0 wrote over the first bytes of the header.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changed, refusedOf, smallEdit, type Json } from '../../../support/undo-edits.js';
import { partsOfUndoFile, undoFileOf, withDigest } from '../../../support/undo-files.js';

const HEADER = 'a'.repeat(1024);
/** Where a field of the small edit's index says what it may not, and how the error names it. */
const FAULTS: readonly [string, (string | number)[], Json | undefined, string][] = [
  ['an image without a name', ['image'], 3, 'image'],
  ['an operation that is no text', ['operation'], null, 'operation'],
  ['no size before', ['sizeBefore'], undefined, 'sizeBefore'],
  ['a size that is no whole number', ['sizeBefore'], 0.5, 'sizeBefore'],
  ['a size without a header', ['sizeBefore'], 511, 'sizeBefore'],
  ['a size past 2^53', ['sizeAfter'], 2 ** 53, 'sizeAfter'],
  ['a size after that is not where the tables end', ['sizeAfter'], 4096, 'sizeAfter'],
  ['a switch at the magic', ['switchAt'], 0, 'switchAt'],
  ['a switch behind the fields', ['switchAt'], 96, 'switchAt'],
  ['a header that is no hex', ['headerBefore'], 'x'.repeat(1024), 'headerBefore'],
  ['half a header', ['headerAfter'], '0'.repeat(512), 'headerAfter'],
  ['headers that differ before the switch', ['headerBefore'], HEADER, 'headerAfter, byte 0,'],
  ['tables that are no list', ['shadow'], { length: 1 }, 'shadow'],
  ['a table that is null', ['shadow', 0], null, 'shadow[0]'],
  ['a table in the header', ['shadow', 0, 'at'], 0, 'shadow[0].at'],
  ['a table that ends in the next', ['shadow', 0, 'length'], 1536, 'shadow[0].length'],
  ['a table of no bytes', ['shadow', 0, 'length'], 0, 'shadow[0].length'],
  ['a table of -1 bytes', ['shadow', 1, 'length'], -1, 'shadow[1].length'],
  ['a table past 2^53', ['shadow', 1, 'at'], 2 ** 53 - 1, 'shadow[1].at'],
  ['a digest of another kind', ['shadow', 1, 'sha256After'], 'ab', 'shadow[1].sha256After'],
  ['kept bytes that are the magic', ['shadow', 0, 'keptAt'], 0, 'shadow[0].keptAt'],
  ['kept bytes of something else', ['punched', 0, 'keptAt'], 16, 'punched[0].keptAt'],
  ['kept bytes behind the end', ['punched', 0, 'keptAt'], 2 ** 40, 'punched[0].keptAt'],
  ['kept bytes of what was no part of the file', ['shadow', 1, 'keptAt'], 1040, 'shadow[1].keptAt'],
  ['kept bytes that nothing names', ['punched', 0, 'keptAt'], undefined, 'kept bytes'],
  ['a hole in the header', ['punched', 0, 'at'], 511, 'punched[0].at'],
  ['a hole behind the end', ['punched', 0, 'at'], 3072, 'punched[0].at'],
  [
    'more stretches than an undo file has',
    ['punched'],
    new Array(2 ** 20 + 1).fill(0),
    'punched.length',
  ],
  ['a table longer than any', ['shadow', 1, 'length'], 2 ** 27 + 1, 'shadow[1].length'],
  ['no list of what became free', ['freed'], undefined, 'freed'],
  ['what became free in the header', ['freed', 0, 'at'], 0, 'freed[0].at'],
  ['what became free behind the end', ['freed', 0, 'at'], 3072, 'freed[0].at'],
  ['what became free of no bytes', ['freed', 0, 'length'], 0, 'freed[0].length'],
  ['what became free where a table lies', ['freed', 0, 'at'], 1024, 'freed[0].at'],
  ['what became free where a hole lies', ['freed', 0, 'at'], 2048, 'freed[0].at'],
  [
    'what became free without a digest',
    ['freed', 0, 'sha256Before'],
    null,
    'freed[0].sha256Before',
  ],
  ['a hole where a table lies', ['punched', 0, 'at'], 1024, 'punched[0].at'],
];

describe('an index that was made by hand', () => {
  test.each(FAULTS)('with %s is refused by its name', async (_, path, to, field) => {
    const { after, undoFile } = await smallEdit();
    const { kept, index } = partsOfUndoFile(undoFile);
    const wrong = JSON.stringify(changed(JSON.parse(index) as Json, path, to));
    const { error } = await refusedOf(undoFileOf(wrong, kept), after);
    expect(error.code).toBe('UNDO_FILE_INVALID');
    expect(error.message).toContain(`its ${field} `);
    expect(error.message).toMatch(/ (is|are) .+, not /);
    expect(error.details.imageState).toBe('unchanged');
    expect(error.details.expected).toBeTruthy();
    expect(error.details.actual).toBeTruthy();
  });

  test('never writes over the bytes of the header that no edit changes', async () => {
    const { after, undoFile } = await smallEdit();
    const index = JSON.parse(partsOfUndoFile(undoFile).index) as { headerBefore: string };
    const zeros = `${'0'.repeat(192)}${index.headerBefore.slice(192)}`;
    const wrong = { ...index, switchAt: 0, headerBefore: zeros, shadow: [], punched: [] };
    const { error } = await refusedOf(undoFileOf(JSON.stringify(wrong)), after);
    expect(error.code).toBe('UNDO_FILE_INVALID');
  });

  test('of any JSON is refused', async () => {
    const { after } = await smallEdit();
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.uint8Array({ maxLength: 32 }), async (json, kept) => {
        const { error } = await refusedOf(undoFileOf(json, kept), after);
        expect(error.code).toBe('UNDO_FILE_INVALID');
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    '',
    '{',
    '[1',
    '\u0000',
    '"\ud800"',
    '['.repeat(100_000),
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
  ])('that is no JSON is refused (%#)', async (text) => {
    const { after } = await smallEdit();
    const { error } = await refusedOf(undoFileOf(text), after);
    expect(error.code).toBe('UNDO_FILE_INVALID');
  });

  test('is refused where the trailer names another place', async () => {
    const { after, undoFile } = await smallEdit();
    const body = undoFile.slice(0, -64);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 15 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, by) => {
          const wrong = body.slice();
          wrong[body.length - 16 + at]! ^= by;
          const { error } = await refusedOf(withDigest(wrong), after);
          expect(error.code).toBe('UNDO_FILE_INVALID');
        },
      ),
      { numRuns: 100 },
    );
  });
});
