import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Hasher } from '../../../../src/base/hasher.js';
import { isQsnapError } from '../../../../src/errors.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { readKept, readUndoIndex, UndoWriter } from '../../../../src/edit/tx/undo-file.js';
import type { UndoIndex } from '../../../../src/edit/tx/undo-index.js';

function newHasher(): Hasher {
  const hash = createHash('sha256');
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
  };
}

const INDEX: UndoIndex = {
  image: 'disk.qcow2',
  operation: 'repair',
  sizeBefore: 2000,
  sizeAfter: 2048,
  switchAt: 24,
  headerBefore: '00'.repeat(512),
  headerAfter: `${'00'.repeat(95)}01${'00'.repeat(416)}`,
  shadow: [
    { at: 512, length: 4, keptAt: 16, sha256After: 'aa'.repeat(32) },
    { at: 2044, length: 4, sha256After: 'bb'.repeat(32) },
  ],
  punched: [{ at: 1024, length: 8 }],
  freed: [{ at: 1032, length: 8, sha256Before: 'cc'.repeat(32) }],
};

async function written(): Promise<Uint8Array> {
  const file = memoryDevice(new Uint8Array(0));
  const writer = await UndoWriter.start(file, newHasher);
  expect(await writer.keep(Uint8Array.of(1, 2, 3, 4))).toBe(16);
  expect(await writer.keep(new Uint8Array(8)), 'zeros take no room').toBeUndefined();
  await writer.finish(INDEX);
  return file.snapshotBytes();
}

test('what was written is what is read', async () => {
  const file = memoryDevice(await written());
  const index = await readUndoIndex(file, newHasher);
  expect(index).toEqual(INDEX);
  expect(await readKept(file, index.shadow[0]!)).toEqual(Uint8Array.of(1, 2, 3, 4));
  expect(await readKept(file, index.punched[0]!)).toEqual(new Uint8Array(8));
});

test('a file that is cut off or has one other byte is refused', async () => {
  const bytes = await written();
  const codeOf = async (changed: Uint8Array): Promise<unknown> =>
    readUndoIndex(memoryDevice(changed), newHasher).then(
      () => 'read',
      (error: unknown) => (isQsnapError(error) ? error.code : error),
    );
  for (let length = 0; length < bytes.length; length++) {
    expect(await codeOf(bytes.slice(0, length)), `${length} bytes`).toBe('UNDO_FILE_INVALID');
  }
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    expect(await codeOf(changed), `byte ${at}`).toBe('UNDO_FILE_INVALID');
  }
});
