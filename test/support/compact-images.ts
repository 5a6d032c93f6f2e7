/** Images in memory that are made compact, and a plain reader of them that shares no code with the engine. */
import { expect } from 'vitest';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { compactImage } from '../../src/make/compact/compact-image.js';
import type { CompactOptions, CompactReport } from '../../src/make/compact/compact-options.js';
import { PLATFORM } from './compacted.js';
import {
  buildImage,
  checkImage,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  layoutOf,
  readGuest,
  snapshotsOf,
  type BuildOptions,
  type PlainDisk,
} from './image-builder.js';
import type { Random } from './model-random.js';
import { withSnapshot } from './rescued.js';

interface Compacted {
  readonly made: Uint8Array;
  readonly report: CompactReport;
}

/** The image, made compact. */
export async function compacted(
  bytes: Uint8Array,
  options: Partial<CompactOptions> = {},
  device = memoryDevice(),
): Promise<Compacted> {
  const image = await openImage(memoryDevice(bytes));
  const report = await compactImage(image, device, { ...PLATFORM, ...options });
  return { made: device.snapshotBytes(), report };
}

/** What the disks hold by the plain reader: the active one, then the snapshots in order. */
export function contentsOf(bytes: Uint8Array): Uint8Array[] {
  const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
  const mappings = [{ l1At, l1Entries, diskSizeBytes }, ...snapshotsOf(bytes).snapshots];
  return mappings.map((mapping) => readGuest(bytes, mapping));
}

/** Expects a sound image with the same disks. */
export function expectSame(made: Uint8Array, bytes: Uint8Array): void {
  expect(checkImage(made)).toEqual({ corruptions: [], leaks: [] });
  const [now, before] = [contentsOf(made), contentsOf(bytes)];
  expect(now).toHaveLength(before.length);
  for (const [i, content] of before.entries()) {
    expect(Buffer.compare(now[i]!, content), `disk ${i}`).toBe(0);
  }
}

/** A small image with up to three snapshots. */
export async function randomImage(random: Random): Promise<Uint8Array> {
  const isV2 = random.chance(0.2);
  const extendedL2 = !isV2 && random.chance(0.3);
  const options: Partial<BuildOptions> = {
    version: isV2 ? 2 : 3,
    clusterBits: extendedL2 ? 14 : random.pick([9, 10, 12]),
    refcountOrder: 4,
    extendedL2,
    diskSizeBytes: 512 * (1 + random.below(500)),
  };
  const disk: PlainDisk = { bytes: buildImage(options) };
  const cells = Math.floor(options.diskSizeBytes! / (extendedL2 ? 512 : 2 ** options.clusterBits!));
  for (let step = random.below(4); step >= 0; step--) {
    for (let i = 0; i < 12 && cells > 0; i++) use(disk, random, cells, extendedL2);
    if (step > 0) disk.bytes = await withSnapshot(disk.bytes, `snapshot ${step}`);
  }
  return disk.bytes;
}

function use(disk: PlainDisk, random: Random, cells: number, extendedL2: boolean): void {
  const cell = random.below(cells);
  const clusters = Math.floor(extendedL2 ? cells / 32 : cells);
  // Few bytes, so that some clusters are equal and some are zeros.
  if (random.chance(0.7)) guestWrite(disk, cell, random.below(3));
  else if (random.chance(0.5) || clusters < 3) guestZero(disk, cell, random.chance(0.5));
  else {
    const from = random.below(clusters - 2);
    guestWriteCompressed(disk, from, new Uint8Array([random.below(3), 7]));
  }
}

/** Any way to make it compact. */
export function randomOptions(random: Random, isV2: boolean): Partial<CompactOptions> {
  const version = isV2 && random.chance(0.5) ? 3 : undefined;
  const isV3 = !isV2 || version === 3;
  const clusterBytes = random.pick([undefined, 512, 2048, 16384, 65536]);
  const isLarge = clusterBytes !== undefined && clusterBytes >= 16384;
  return {
    ...{ version, clusterBytes },
    extendedL2: clusterBytes === undefined ? undefined : isLarge && isV3 && random.chance(0.5),
    refcountBits: isV3 ? random.pick([undefined, 32, 64]) : undefined,
    dropZeros: random.chance(0.5),
    dedupe: random.chance(0.5),
    compress: random.pick([undefined, undefined, 'zlib']),
  };
}
