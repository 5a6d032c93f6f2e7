/** Bounds on undo files, which whoever writes them keeps to and whoever reads them demands. */
import { describe, expect, test } from 'vitest';
import type { BlockSource } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { newSha256 } from '../../../../src/node/sha256.js';
import type { WritePlan } from '../../../../src/edit/tx/plan.js';
import { saveUndo } from '../../../../src/edit/tx/save-undo.js';
import { readUndoIndex } from '../../../../src/edit/tx/undo-file.js';
import { UNDO_MAGIC } from '../../../support/undo-files.js';

/** A source of zeros that is as long as it is said to be, but for some bytes. */
function sparseSource(sizeBytes: number, parts: ReadonlyMap<number, Uint8Array>): BlockSource {
  return {
    label: 'sparse',
    sizeBytes: () => Promise.resolve(sizeBytes),
    readBatch: (requests) => {
      for (const { at, into } of requests) into.set(parts.get(at) ?? new Uint8Array(0));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

describe('limits', () => {
  test('an index longer than any is refused before it is read', async () => {
    const indexBytes = 300 * 2 ** 20;
    const trailer = new Uint8Array(16);
    const view = new DataView(trailer.buffer);
    view.setBigUint64(0, 16n);
    view.setUint32(8, indexBytes);
    view.setUint32(12, 2);
    const digest = 'f'.repeat(64);
    const parts = new Map<number, Uint8Array>([
      [0, UNDO_MAGIC],
      [16 + indexBytes, trailer],
      [32 + indexBytes, new TextEncoder().encode(digest)],
    ]);
    const file = sparseSource(96 + indexBytes, parts);
    const newHasher = () => ({ update: () => undefined, digest: () => digest });
    await expect(readUndoIndex(file, newHasher)).rejects.toMatchObject({
      code: 'UNDO_FILE_INVALID',
      details: { actual: `${indexBytes} bytes`, expected: `at most ${2 ** 28} bytes` },
    });
  });

  test('what no undo file could name is refused before the edit', async () => {
    const many = Array.from({ length: 2 ** 20 + 1 }, (_, i) => ({ at: 512 + 2 * i, length: 1 }));
    const plan: WritePlan = {
      headerSector: new Uint8Array(512),
      fileSizeBytes: 2 ** 40,
      shadow: [],
      switch: { at: 24, bytes: new Uint8Array(72) },
      freed: [],
      punch: many,
    };
    const about = { image: 'x', operation: 'repair' };
    const source = sparseSource(2 ** 40, new Map());
    const saving = saveUndo(source, plan, memoryDevice(), newSha256, about);
    await expect(saving).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      details: { expected: `at most ${2 ** 20} stretches`, imageState: 'unchanged' },
    });
  });

  test('what would not be read again is never called kept', async () => {
    const bytes = new Uint8Array(2048);
    const plan: WritePlan = {
      headerSector: bytes.slice(0, 100),
      fileSizeBytes: bytes.length,
      shadow: [],
      switch: { at: 24, bytes: new Uint8Array(72) },
      freed: [],
      punch: [],
    };
    const about = { image: 'x', operation: 'repair' };
    const saving = saveUndo(memoryDevice(bytes), plan, memoryDevice(), newSha256, about);
    await expect(saving).rejects.toMatchObject({ code: 'UNDO_FILE_INVALID' });
  });
});
