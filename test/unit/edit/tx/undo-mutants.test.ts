/** Undo files with a right digest in which one value is another. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { newSha256 } from '../../../../src/node/sha256.js';
import { executeUndo } from '../../../../src/edit/tx/undo.js';
import { situations } from '../../../support/plans.js';
import { recordingDevice, type RecordingDevice } from '../../../support/recording-device.js';
import { changed, edited, pathsOf, writesOf, type Json } from '../../../support/undo-edits.js';
import { partsOfUndoFile, undoFileOf, UNDO_MAGIC } from '../../../support/undo-files.js';

function hexOf(bytes: number): fc.Arbitrary<string> {
  return fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((some) => Buffer.from(some).toString('hex'));
}

/** What replaces a value of a right index. */
const replacements = fc.oneof(
  fc.constant(undefined),
  fc.jsonValue().map((value) => value as Json),
  fc.integer({ min: -1, max: 32 }).map((sector) => sector * 512),
  fc.integer({ min: -1, max: 20_000 }),
  fc.constantFrom(
    UNDO_MAGIC.length,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    1e300,
    -0.5,
    24,
    95,
    96,
  ),
  fc.string(),
  hexOf(512),
  hexOf(32),
);

describe('a right index with one other value', () => {
  test('is refused, or puts back where it says and nowhere else', async () => {
    let refused = 0;
    let done = 0;
    const property = fc.asyncProperty(
      situations,
      // The first ones are the fields of the index itself.
      fc.oneof(fc.nat(), fc.integer({ min: 1, max: 8 })),
      replacements,
      fc.boolean(),
      async ({ bytes, plan }, where, to, isUndone) => {
        const { before, after, undoFile } = await edited(bytes, plan);
        const { kept, index } = partsOfUndoFile(undoFile);
        const right = JSON.parse(index) as Json;
        const paths = pathsOf(right);
        const json = changed(right, paths[where % paths.length]!, to);
        const device = recordingDevice(isUndone ? before : after);
        const start = device.snapshotBytes();
        const file = memoryDevice(undoFileOf(JSON.stringify(json), kept));
        const end = await executeUndo(device, file, newSha256).then(
          () => 'done',
          (error: unknown) => (isQsnapError(error) ? error.code : error),
        );
        if (end !== 'done') {
          expect(['UNDO_FILE_INVALID', 'IMAGE_CHANGED']).toContain(end);
          expect(writesOf(device)).toEqual([]);
          refused += 1;
          return;
        }
        expectWithin(device, start, json);
        done += 1;
      },
    );
    await fc.assert(property, { numRuns: 600 });
    expect(refused).toBeGreaterThan(100);
    expect(done).toBeGreaterThan(20);
  });
});

interface Told {
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  readonly shadow: readonly { readonly at: number; readonly length: number }[];
  readonly punched: readonly { readonly at: number; readonly length: number }[];
}

/** Writes lie in bytes 24 to 95 or in the stretches that the index tells, before the old end. */
function expectWithin(device: RecordingDevice, start: Uint8Array, index: Json): void {
  const { sizeBefore, sizeAfter, shadow, punched } = index as unknown as Told;
  const allowed = [{ at: 24, length: 72 }, ...shadow, ...punched];
  for (const one of writesOf(device)) {
    if (one.kind === 'truncate') {
      expect(one.sizeBytes).toBe(sizeBefore);
      expect(start.length).toBe(sizeAfter);
      expectCutOnly(start.slice(sizeBefore), sizeBefore, shadow);
      continue;
    }
    if (one.kind !== 'write') throw new Error(`an undo does not ${one.kind}`);
    const end = one.at + one.bytes.length;
    const isTold = allowed.some(({ at, length }) => at <= one.at && end <= at + length);
    expect(isTold, `${one.at} to ${end}`).toBe(true);
    expect(one.at < 96 || one.at >= 512).toBe(true);
    expect(end).toBeLessThanOrEqual(sizeBefore);
  }
}

/** What is cut off is the edit's or zeros. */
function expectCutOnly(tail: Uint8Array, from: number, shadow: Told['shadow']): void {
  for (const { at, length } of shadow) {
    if (at + length > from) tail.fill(0, Math.max(0, at - from), at + length - from);
  }
  expect(tail.every((byte) => byte === 0)).toBe(true);
}
