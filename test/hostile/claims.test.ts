import { cpuMilliseconds } from '../support/cpu-time.js';
import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import type { OpenImage } from '../../src/image/image.js';
import type { BlockSource } from '../../src/io/device.js';
import { planCreate } from '../../src/edit/snapshot/create.js';
import { planApply } from '../../src/edit/snapshot/apply.js';
import { planDelete } from '../../src/edit/snapshot/delete.js';
import { computeUnsavedChanges, snapshotsEqualToActive } from '../../src/edit/snapshot/unsaved.js';
import { readPlain } from '../support/crash-judge-image.js';
import { loadFixture } from '../support/fixture.js';

const GiB = 2 ** 30;
const TiB = 2 ** 40;
/** What an operation may read before it has to have seen that the claims are lies. */
const MOST_READ_BYTES = 512 * 1024 * 1024;
const MOST_MEMORY_BYTES = GiB;
/** Counting all clusters of a file takes its time, where a file is large. */
const LONGEST_MS = 10_000;

/** A source that is zeros for as far as it goes, but for some bytes at its start. */
function sparseSource(bytes: Uint8Array, sizeBytes: number): BlockSource {
  let read = 0;
  return {
    label: 'sparse',
    sizeBytes: () => Promise.resolve(sizeBytes),
    readBatch: (requests) => {
      for (const { at, into } of requests) {
        read += into.length;
        const there = bytes.subarray(Math.min(at, bytes.length), at + into.length);
        into.set(there);
        into.fill(0, there.length);
      }
      if (read > MOST_READ_BYTES) return Promise.reject(new Error(`${read} bytes were read`));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

const OPERATIONS: Record<string, (image: OpenImage) => Promise<unknown>> = {
  snapshotsEqualToActive,
  computeUnsavedChanges,
  planCreate: (image) => planCreate(image, { name: 'x', date: { seconds: 0, nanoseconds: 0 } }),
  planApply: (image) => planApply(image, image.snapshots[0]!, { discardChanges: true }),
  planDelete: (image) => planDelete(image, image.snapshots.slice(0, 1)),
};

/** Opens and runs every operation: each succeeds or is refused, soon and with little memory. */
async function endure(source: () => BlockSource): Promise<void> {
  const image = await within('openImage', () => openImage(source()));
  if (image === undefined) return;
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    if (image.snapshots.length === 0 && name !== 'planCreate') continue;
    await within(name, () => operation({ ...image, source: source() }));
  }
}

async function within<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
  const memoryBefore = process.resourceUsage().maxRSS * 1024;
  const started = cpuMilliseconds();
  try {
    return await work();
  } catch (error) {
    if (isQsnapError(error) && error.kind !== 'internal') return undefined;
    throw new Error(`${name}: ${String(error)}`, { cause: error });
  } finally {
    expect(cpuMilliseconds() - started, `${name}, in ms`).toBeLessThan(LONGEST_MS);
    const grown = process.resourceUsage().maxRSS * 1024 - memoryBefore;
    expect(grown, `${name}, bytes of memory`).toBeLessThan(MOST_MEMORY_BYTES);
  }
}

interface Claim {
  readonly count: number;
  readonly l1At: number;
  readonly l1Entries: number;
}

/** The fixture with a snapshot table that claims that all its L1 tables lie in one place. */
function claiming(fixture: string, { count, l1At, l1Entries }: Claim): Uint8Array {
  const bytes = loadFixture(fixture);
  const { clusterBytes } = readPlain(bytes);
  const tableAt = Math.ceil(bytes.length / clusterBytes) * clusterBytes;
  const larger = new Uint8Array(tableAt + count * 40);
  larger.set(bytes);
  const view = new DataView(larger.buffer);
  view.setUint32(60, count);
  view.setBigUint64(64, BigInt(tableAt));
  for (let i = 0; i < count; i++) {
    view.setBigUint64(tableAt + i * 40, BigInt(l1At));
    view.setUint32(tableAt + i * 40 + 8, l1Entries);
  }
  return larger;
}

describe('65,536 snapshots', () => {
  const { l1At, l1Entries } = readPlain(loadFixture('zeros-v2'));
  const most = { count: 65_536, l1Entries: 2 ** 22 };

  test('that all have the active L1', async () => {
    const bytes = claiming('zeros-v2', { count: 65_536, l1At, l1Entries });
    await endure(() => sparseSource(bytes, bytes.length));
  });

  test('with L1 tables of 32 MiB past the end of the file', async () => {
    const bytes = claiming('zeros-v2', { ...most, l1At: GiB });
    await endure(() => sparseSource(bytes, bytes.length));
  });

  test('with the same L1 table of 32 MiB in a sparse file', async () => {
    const bytes = claiming('zeros-v2', { ...most, l1At: GiB });
    await endure(() => sparseSource(bytes, TiB));
  });

  test('in a table that the file has no room for', async () => {
    const bytes = claiming('zeros-v2', { count: 65_536, l1At, l1Entries }).slice(0, 500_000);
    await endure(() => sparseSource(bytes, bytes.length));
  });

  test('in a table of zeros in a sparse file', async () => {
    const bytes = loadFixture('zeros-v2');
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(60, 65_536);
    view.setBigUint64(64, BigInt(GiB));
    await endure(() => sparseSource(bytes, TiB));
  });
});

describe('a file that is almost all hole', () => {
  test.each([
    ['version-3', TiB],
    ['version-3', 4 * TiB],
    ['version-3', 1024 * TiB],
    ['cluster-512', 16 * GiB],
    ['cluster-512', TiB],
    ['cluster-512', 2 * TiB],
    ['cluster-512', 1024 * TiB],
    ['wide-and-large', 64 * TiB],
  ])('%s in %i bytes', { timeout: 60_000 }, async (fixture, sizeBytes) => {
    const bytes = loadFixture(fixture);
    await endure(() => sparseSource(bytes, sizeBytes));
  });
});
