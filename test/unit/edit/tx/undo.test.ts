import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Hasher } from '../../../../src/base/hasher.js';
import { isQsnapError } from '../../../../src/errors.js';
import type { ByteRange } from '../../../../src/io/device.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import type { WritePlan } from '../../../../src/edit/tx/plan.js';
import { saveUndo } from '../../../../src/edit/tx/save-undo.js';
import { executeUndo } from '../../../../src/edit/tx/undo.js';
import { readUndoIndex } from '../../../../src/edit/tx/undo-file.js';
import { situations } from '../../../support/plans.js';
import { madeOn } from '../../../support/plans.js';
import { recordingDevice } from '../../../support/recording-device.js';

const CLUSTER = 512;

function newHasher(): Hasher {
  const hash = createHash('sha256');
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest('hex'),
  };
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'done',
    (error: unknown) => (isQsnapError(error) ? error.code : error),
  );
}

async function edited(
  bytes: Uint8Array,
  plan: WritePlan,
): Promise<{ device: MemoryDevice; file: MemoryDevice }> {
  const device = memoryDevice(bytes.slice());
  const file = memoryDevice(new Uint8Array(0));
  await saveUndo(device, plan, file, newHasher, { image: 'disk.qcow2', operation: 'repair' });
  expect(Buffer.compare(device.snapshotBytes(), bytes), 'saving writes nothing').toBe(0);
  await executePlan(madeOn(device, plan));
  return { device, file };
}

describe('an edit that is undone', () => {
  test('leaves every byte as it was, and so does undoing it again', async () => {
    await fc.assert(
      fc.asyncProperty(situations, async ({ bytes, plan }) => {
        const { device, file } = await edited(bytes, plan);
        const report = await executeUndo(device, file, newHasher);
        expect(report.switched).toBe(true);
        expect(Buffer.compare(device.snapshotBytes(), bytes)).toBe(0);
        expect(await executeUndo(device, file, newHasher)).toEqual({
          switched: false,
          restoredBytes: 0,
          cutBytes: 0,
        });
        expect(Buffer.compare(device.snapshotBytes(), bytes)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('is refused once a table, the header or the length is another', async () => {
    await fc.assert(
      fc.asyncProperty(situations, fc.integer({ min: 0, max: 2 }), async (situation, what) => {
        const { bytes, plan } = situation;
        const { device, file } = await edited(bytes, plan);
        const index = await readUndoIndex(file, newHasher);
        const size = await device.sizeBytes();
        const [table] = index.shadow;
        const at = [100, size, table?.at ?? 100][what]!;
        const old = new Uint8Array(1);
        await device.readBatch([{ at, into: old }]);
        await device.writeBatch([{ at, bytes: Uint8Array.of(old[0]! ^ 0xff) }]);
        const before = device.snapshotBytes();
        expect(await codeOf(executeUndo(device, file, newHasher))).toBe('IMAGE_CHANGED');
        expect(Buffer.compare(device.snapshotBytes(), before)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  test('is refused where a cluster that it gave back holds something else by now', async () => {
    await expectForeignRefused(({ punch }) => punch);
  });

  test('is refused where a cluster that it left free holds something else by now', async () => {
    await expectForeignRefused(({ freed }) => freed);
  });

  async function expectForeignRefused(
    rangesOf: (plan: WritePlan) => readonly ByteRange[],
  ): Promise<void> {
    const seen = { refused: 0 };
    await fc.assert(
      fc.asyncProperty(situations, fc.nat(511), async ({ bytes, plan }, within) => {
        const [freed] = rangesOf(plan).filter(({ at }) => at < bytes.length);
        if (freed === undefined) return;
        const { device, file } = await edited(bytes, plan);
        const at = freed.at + within;
        const other = bytes[at] === 99 ? 98 : 99;
        await device.writeBatch([{ at, bytes: Uint8Array.of(other) }]);
        const before = device.snapshotBytes();
        expect(await codeOf(executeUndo(device, file, newHasher))).toBe('IMAGE_CHANGED');
        expect(Buffer.compare(device.snapshotBytes(), before)).toBe(0);
        seen.refused += 1;
      }),
      { numRuns: 50 },
    );
    expect(seen.refused).toBeGreaterThan(20);
  }

  test('ends at once where a signal comes while the image is compared', async () => {
    const bytes = Uint8Array.from({ length: 8192 }, (_, i) => 1 + (i % 251));
    const table = {
      kind: 'literal',
      what: 'active L1',
      bytes: new Uint8Array(512).fill(7),
    } as const;
    const { device, file } = await edited(bytes, {
      headerSector: bytes.slice(0, 512),
      fileSizeBytes: bytes.length,
      shadow: [1024, 2048, 4096].map((at) => ({ ...table, at })),
      switch: { at: 24, bytes: new Uint8Array(72).fill(9) },
      freed: [],
      punch: [],
    });
    const before = device.snapshotBytes();
    const controller = new AbortController();
    const readBatch = device.readBatch.bind(device);
    let reads = 0;
    device.readBatch = (requests) => {
      reads += 1;
      if (reads === 2) controller.abort();
      return readBatch(requests);
    };
    const undoing = executeUndo(device, file, newHasher, { signal: controller.signal });
    expect(await codeOf(undoing)).toBe('ABORTED');
    expect(reads).toBe(2);
    expect(Buffer.compare(device.snapshotBytes(), before)).toBe(0);
  });

  test('does nothing where the edit was never made, whatever free clusters hold by now', async () => {
    await fc.assert(
      fc.asyncProperty(situations, async ({ bytes, plan }) => {
        const device = memoryDevice(bytes.slice());
        const file = memoryDevice(new Uint8Array(0));
        await saveUndo(device, plan, file, newHasher, { image: 'x', operation: 'repair' });
        const used = bytes.slice();
        used.fill(77, CLUSTER);
        const later = memoryDevice(used.slice());
        expect((await executeUndo(later, file, newHasher)).switched).toBe(false);
        expect(Buffer.compare(later.snapshotBytes(), used)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('is put back no further than the file went, where it ends inside what is written or freed', async () => {
    const bytes = Uint8Array.from({ length: 4 * CLUSTER + 100 }, (_, i) => 1 + (i % 250));
    const literal = (at: number) => ({
      kind: 'literal' as const,
      what: 'active L1',
      at,
      bytes: new Uint8Array(CLUSTER).fill(7),
    });
    const plans: Record<string, Pick<WritePlan, 'shadow' | 'punch'>> = {
      'freed up to past the end': { shadow: [], punch: [{ at: 3 * CLUSTER, length: 3 * CLUSTER }] },
      'freed behind the end': { shadow: [], punch: [{ at: 6 * CLUSTER, length: CLUSTER }] },
      'written over the end': { shadow: [literal(4 * CLUSTER)], punch: [] },
    };
    for (const [name, parts] of Object.entries(plans)) {
      const { device, file } = await edited(bytes, {
        headerSector: bytes.slice(0, CLUSTER),
        fileSizeBytes: bytes.length,
        switch: { at: 24, bytes: new Uint8Array(72).fill(9) },
        freed: parts.punch,
        ...parts,
      });
      expect((await executeUndo(device, file, newHasher)).switched, name).toBe(true);
      expect(Buffer.compare(device.snapshotBytes(), bytes), name).toBe(0);
    }
  });

  test('is refused before anything is written where the medium has another length or more in its tail', async () => {
    const bytes = Uint8Array.from({ length: 4 * CLUSTER }, (_, i) => 1 + (i % 250));
    const plan: WritePlan = {
      headerSector: bytes.slice(0, CLUSTER),
      fileSizeBytes: bytes.length,
      shadow: [
        { kind: 'literal', what: 'active L1', at: 6 * CLUSTER, bytes: bytes.slice(0, CLUSTER) },
      ],
      switch: { at: 24, bytes: new Uint8Array(72).fill(9) },
      freed: [],
      punch: [{ at: 2 * CLUSTER, length: CLUSTER }],
    };
    const { device, file } = await edited(bytes, plan);
    const after = device.snapshotBytes();
    const longer = new Uint8Array(after.length + CLUSTER);
    longer.set(after);
    const busy = after.slice();
    busy[5 * CLUSTER] = 1;
    for (const [name, start] of Object.entries({ longer, busy })) {
      for (const growable of [true, false]) {
        const medium = recordingDevice(start, { growable });
        expect(await codeOf(executeUndo(medium, file, newHasher)), name).toBe('IMAGE_CHANGED');
        expect(
          medium.log.filter(({ kind }) => kind !== 'read'),
          name,
        ).toEqual([]);
      }
    }
  });
});
