import { bytesOf } from '../../base/words.js';
import { utf8Text } from '../../base/text.js';
import { decodeHeader } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { u32At } from '../../vmstate/window.js';
import { decodeRefcounts } from '../../refcount/block.js';
import { visitRefcountBlocks } from '../../refs/refcount-table.js';
import { walkStoredTables } from '../../refs/tables.js';
import { bareCandidate } from './bare-candidate.js';
import type { Unnumbered } from './candidate.js';
import type { Ground } from './ground.js';
import { reason } from './plausibility.js';
import type { RemainsContents } from './remains-looks.js';

/** Refcount blocks that are compared with those in use. Ours. */
const BLOCKS_MAX = 256;
/** Refcounts of a block that are compared: the first ones, which a small image has alone, and as many spread over it. */
const SAMPLES = 512;
/** Headers and streams that are looked into. Ours. */
const PLACES_MAX = 4096;
/** The machine's name begins behind the magic, the version, the type of the section and the length. */
const MACHINE_AT = 13;
const MACHINE_BYTES_MAX = 64;

/** Finds old refcount blocks, VM states and headers among what clusters look like. */
export async function findOther(
  ground: Ground,
  contents: RemainsContents,
): Promise<readonly Unnumbered[]> {
  return [
    ...(await refcountBlocks(ground, contents)),
    ...(await streams(ground, contents)),
    ...descriptions(ground, contents),
    ...(await headers(ground, contents)),
  ];
}

/** An old refcount block agrees with the one in use for the same clusters but for what was freed and taken since. */
async function refcountBlocks(
  ground: Ground,
  { refcountBlocks: found }: RemainsContents,
): Promise<readonly Unnumbered[]> {
  const { image, blocks, format, source } = ground;
  const { clusterBytes, refcountBits, refcountBlockEntries } = format.geometry;
  const places = Float64Array.from(found.slice(0, BLOCKS_MAX));
  if (image === undefined || places.length === 0) return [];
  const step = Math.max(1, Math.floor(refcountBlockEntries / SAMPLES));
  const sampled = (counts: Uint32Array): Uint32Array =>
    counts.filter((_, i) => i < SAMPLES || i % step === 0);
  const counts = new Uint32Array(refcountBlockEntries);
  const live: Uint32Array[] = [];
  await visitRefcountBlocks(image, blocks, [0, blocks.length], (_, stored) => {
    if (stored === undefined) return;
    decodeRefcounts(bytesOf(stored), refcountBits, counts);
    live.push(sampled(counts));
  });
  const candidates: Unnumbered[] = [];
  await walkStoredTables(source, places, clusterBytes, (index, stored) => {
    decodeRefcounts(bytesOf(stored), refcountBits, counts);
    const [agree, all] = bestAgreement(sampled(counts), live);
    const plausibility =
      all < 4 ? Math.round((20 * agree) / Math.max(1, all)) : Math.round((90 * agree) / all);
    candidates.push({
      ...bareCandidate(ground, 'refcount-block', places[index]!),
      ...{ plausibility, reasons: [reason('agrees-with-refcounts', agree, all)] },
    });
  });
  return candidates.filter(({ plausibility }) => plausibility > 0);
}

/** Of the clusters that one of two blocks calls used: how many refcounts are equal; by the block that agrees most. */
function bestAgreement(
  counts: Uint32Array,
  live: readonly Uint32Array[],
): readonly [agree: number, all: number] {
  let best: readonly [number, number] = [0, counts.filter((count) => count !== 0).length];
  for (const other of live) {
    let [agree, all] = [0, 0];
    for (let i = 0; i < counts.length; i += 1) {
      if (counts[i] === 0 && other[i] === 0) continue;
      all += 1;
      if (counts[i] === other[i]) agree += 1;
    }
    if (agree * best[1] > best[0] * all) best = [agree, all];
  }
  return best;
}

async function streams(
  ground: Ground,
  { streams: found }: RemainsContents,
): Promise<readonly Unnumbered[]> {
  const heads = found.slice(0, PLACES_MAX).map((at) => ({ at, into: new Uint8Array(128) }));
  if (heads.length > 0) await ground.source.readBatch(heads);
  return heads.map(({ at, into }) => {
    const length = u32At(into, MACHINE_AT - 4);
    const name = into.subarray(MACHINE_AT, MACHINE_AT + Math.min(length, MACHINE_BYTES_MAX));
    const isName =
      length > 0 && length <= MACHINE_BYTES_MAX && name.every((byte) => byte > 0x20 && byte < 0x7f);
    return {
      ...bareCandidate(ground, 'vm-state', at),
      plausibility: isName ? 95 : 60,
      reasons: [reason('stream-head', 1)],
      machine: isName ? utf8Text(name) : undefined,
    };
  });
}

function descriptions(
  ground: Ground,
  { descriptions: found }: RemainsContents,
): readonly Unnumbered[] {
  return found.slice(0, PLACES_MAX).map((at) => ({
    ...bareCandidate(ground, 'vm-state-end', at),
    ...{ plausibility: 70, reasons: [reason('description', 1)] },
  }));
}

async function headers(
  ground: Ground,
  { headers: found }: RemainsContents,
): Promise<readonly Unnumbered[]> {
  const heads = found.slice(0, PLACES_MAX).map((at) => ({ at, into: new Uint8Array(512) }));
  if (heads.length > 0) await ground.source.readBatch(heads);
  return heads.map(({ at, into }) => {
    const raw = decodeHeader(into);
    const { clusterBitsMin, clusterBitsMax, refcountOrderMax } = LIMITS;
    const isSize =
      raw.clusterBits >= clusterBitsMin.value && raw.clusterBits <= clusterBitsMax.value;
    const clusterBytes = isSize ? 2 ** raw.clusterBits : 0;
    const isPlace = (place: bigint): boolean =>
      isSize &&
      place >= BigInt(clusterBytes) &&
      place % BigInt(clusterBytes) === 0n &&
      place < 2n ** 56n;
    const signs = [
      raw.version === 2 || raw.version === 3,
      isSize,
      raw.sizeBytes < 2n ** 53n,
      isPlace(raw.l1At),
      isPlace(raw.refcountTableAt),
      raw.refcountOrder <= refcountOrderMax.value,
    ];
    const right = signs.filter(Boolean).length;
    return {
      ...bareCandidate(ground, 'header', at),
      plausibility: right < 3 ? 10 : Math.round((95 * right) / signs.length),
      reasons: [reason('header-fields', right, signs.length)],
      header: { version: raw.version, clusterBytes, diskSizeBytes: Number(raw.sizeBytes) },
    };
  });
}
