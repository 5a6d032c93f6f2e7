import { newIoBytes } from '../../base/io-bytes.js';
import { KiB } from '../../base/units.js';
import { storedWords, valueOfStored } from '../../base/words.js';
import type { BlockSource } from '../../io/device.js';
import { offsetOf } from '../../l1l2/entry.js';
import { decodeHeader } from '../../qcow2/header.js';
import type { RawHeader } from '../../qcow2/raw-header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { MAGIC } from '../../qcow2/spec.js';
import { guessGeometry, LowestBits } from '../../read/scan/guess-geometry.js';
import type { ScanWatch } from '../../read/scan/look-through.js';

/** Cluster sizes that an image may have, where what its header says is in doubt. */
export interface ClusterSizes {
  /** What the header says; undefined where no image can have it. */
  readonly storedBytes: number | undefined;
  /** What is worth a try: the header's own first. */
  readonly tried: readonly number[];
}

const TABLE_BYTES = 64 * KiB;
const TABLES_READ = 64;
const SECTOR_BYTES = 512;

/**
 * Tells whether the header's cluster size is in doubt, and which sizes to try. It is in doubt if a table that the
 * header names does not begin at a cluster's start, or if the offsets in those tables fit another size. The sizes to
 * try are the header's own, the one that the tables fit, and those that differ by one bit.
 *
 * @returns undefined if there is no doubt.
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function clusterSizesInDoubt(
  source: BlockSource,
  fileSizeBytes: number,
  options: ScanWatch,
): Promise<ClusterSizes | undefined> {
  const bytes = newIoBytes(SECTOR_BYTES);
  await source.readBatch([{ at: 0, into: bytes }]);
  const raw = decodeHeader(bytes);
  if (raw.magic !== MAGIC || (raw.version !== 2 && raw.version !== 3)) return undefined;
  const own = isClusterBits(raw.clusterBits) ? raw.clusterBits : undefined;
  const fits = (bits: number | undefined): bits is number =>
    bits !== undefined && isAligned(raw, bits);
  let told = await bitsByPointers(source, fileSizeBytes, raw);
  if (fits(own) && (told === own || !fits(told))) return undefined;
  told ??= (await guessGeometry(source, fileSizeBytes, options))?.clusterBits;
  if (own !== undefined && told === own) return undefined;
  const near = fits(own) ? [] : bitsNear(raw.clusterBits).filter(fits);
  const tried = new Set([own, fits(told) ? told : undefined, ...near]);
  tried.delete(undefined);
  return {
    storedBytes: own === undefined ? undefined : 2 ** own,
    tried: [...tried].map((bits) => 2 ** bits!),
  };
}

function isClusterBits(bits: number): boolean {
  return bits >= LIMITS.clusterBitsMin.value && bits <= LIMITS.clusterBitsMax.value;
}

/** Whether all tables that the header names begin at a cluster's start. */
function isAligned({ l1At, refcountTableAt, snapshotTableAt }: RawHeader, bits: number): boolean {
  const size = 1n << BigInt(bits);
  return [l1At, refcountTableAt, snapshotTableAt].every((at) => at % size === 0n);
}

function bitsNear(stored: number): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => (stored ^ (1 << bit)) >>> 0).filter(isClusterBits);
}

/** What the tables tell to which the header leads: where they lie takes no cluster size to know. */
async function bitsByPointers(
  source: BlockSource,
  fileSizeBytes: number,
  { l1At, l1Entries }: RawHeader,
): Promise<number | undefined> {
  if (l1At === 0n || l1At >= BigInt(fileSizeBytes) || l1At % 8n !== 0n) return undefined;
  const read = async (at: number, length: number): Promise<Uint32Array> => {
    const into = newIoBytes(length);
    await source.readBatch([{ at, into }]);
    return storedWords(into);
  };
  const l1Words = 2 * Math.min(l1Entries, TABLE_BYTES / 8);
  const l1 = (await read(Number(l1At), TABLE_BYTES)).subarray(0, l1Words);
  const places = new Set<number>();
  for (let i = 0; i < l1.length && places.size < TABLES_READ; i += 2) {
    const at = offsetOf(valueOfStored(l1[i]!), valueOfStored(l1[i + 1]!));
    if (at !== 0 && at < fileSizeBytes && at % SECTOR_BYTES === 0) places.add(at);
  }
  const lowestBits = new LowestBits(fileSizeBytes);
  for (const at of places) lowestBits.lookAtTable(await read(at, TABLE_BYTES));
  return lowestBits.guess()?.clusterBits;
}
