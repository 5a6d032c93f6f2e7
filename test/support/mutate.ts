/** Seeded damage to images: the same seed makes the same mutant. */
import { metadataOf, readPlain, type PlainRegion } from './crash-judge-image.js';
import { settleEncryption } from './encryption-claim.js';

/** Numbers from 0 up to, not including, `end`. */
export type Random = (end: number) => number;

/** Mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (end) => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  };
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random(values.length)]!;
}

export interface Mutant {
  readonly bytes: Uint8Array;
  /** What was done, so that a failure can be made again by hand. */
  readonly description: string;
}

/** An image that is to be damaged, with where its metadata lies. */
export interface Victim {
  readonly bytes: Uint8Array;
  readonly regions: readonly PlainRegion[];
  readonly clusterBytes: number;
}

export function victimOf(bytes: Uint8Array): Victim {
  const image = readPlain(bytes);
  return { bytes, regions: metadataOf(image), clusterBytes: image.clusterBytes };
}

const COPIED = 2n ** 63n;
const COMPRESSED = 2n ** 62n;

/** 64-bit values that tables, sizes and offsets are often wrong by. */
export function wrongNumbers(victim: Victim, was: bigint, random: Random): readonly bigint[] {
  const { bytes, clusterBytes, regions } = victim;
  const end = BigInt(Math.ceil(bytes.length / clusterBytes) * clusterBytes);
  const region = BigInt(pick(random, regions).at);
  const cluster = BigInt(random(bytes.length / clusterBytes) * clusterBytes);
  const size = BigInt(clusterBytes);
  return [
    ...[0n, 1n, 2n, 511n, 512n, size, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n],
    ...[2n ** 53n + size, 2n ** 56n - size, 2n ** 56n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 62n],
    ...[was + 1n, was + 512n, was + size, was ^ COPIED, was ^ COMPRESSED, was | (63n << 56n)],
    ...[was | 510n, region, region | COPIED, cluster, cluster | COPIED, cluster | COMPRESSED],
    ...[end, end | COPIED, end - size, (end - 512n) | COMPRESSED, was === 0n ? size : was - 1n],
    ...[COPIED, COMPRESSED, COMPRESSED | COPIED | cluster, cluster + 512n, region + 8n],
  ];
}

type Mutator = (victim: Victim, bytes: Uint8Array, random: Random) => string;

/** A place of `width` bytes in the metadata, on a multiple of `width` from its region's start. */
function place(
  victim: Victim,
  random: Random,
  width: number,
): { readonly at: number; readonly name: string } | undefined {
  // A kind first: else tables with thousands of entries would leave nothing to the header.
  const kinds = [...new Set(victim.regions.map(({ name }) => name))];
  const kind = pick(random, kinds);
  const region = pick(
    random,
    victim.regions.filter(({ name }) => name === kind),
  );
  const inFile = Math.min(region.bytes, victim.bytes.length - region.at);
  const places = Math.floor(inFile / width);
  if (places === 0) return undefined;
  // Used entries lie at the start more often than not.
  const near = random(2) === 0 ? random(Math.min(places, 16)) : random(places);
  return { at: region.at + near * width, name: region.name };
}

const flipBits: Mutator = (victim, bytes, random) => {
  const flips: string[] = [];
  for (let count = 1 + random(3); count > 0; count--) {
    const where = place(victim, random, 1);
    if (where === undefined) continue;
    const bit = random(8);
    bytes[where.at] = bytes[where.at]! ^ (1 << bit);
    flips.push(`bit ${bit} of byte ${where.at} (${where.name})`);
  }
  return `flip ${flips.join(', ')}`;
};

const replaceNumber: Mutator = (victim, bytes, random) => {
  const where = place(victim, random, 8);
  if (where === undefined) return 'nothing';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = BigInt.asUintN(
    64,
    pick(random, wrongNumbers(victim, view.getBigUint64(where.at), random)),
  );
  view.setBigUint64(where.at, value);
  return `0x${value.toString(16)} at ${where.at} (${where.name})`;
};

const replaceWord: Mutator = (victim, bytes, random) => {
  const where = place(victim, random, 4);
  if (where === undefined) return 'nothing';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const was = view.getUint32(where.at);
  const values = [0, 1, was + 1, was - 1, was * 2, 0xffff, 0x10000, 2 ** 31, 2 ** 32 - 1, 2 ** 22];
  const value = pick(random, values) >>> 0;
  view.setUint32(where.at, value);
  return `u32 ${value} at ${where.at} (${where.name})`;
};

const splice: Mutator = (victim, bytes, random) => {
  const [from, to] = [place(victim, random, 8), place(victim, random, 8)];
  if (from === undefined || to === undefined) return 'nothing';
  const length = 1 + random(pick(random, [8, 64, 512]));
  bytes.copyWithin(to.at, from.at, from.at + length);
  return `copy ${length} bytes from ${from.at} (${from.name}) to ${to.at} (${to.name})`;
};

/** The mutators with how often each is taken. */
const MUTATORS: readonly Mutator[] = [
  flipBits,
  flipBits,
  replaceNumber,
  replaceNumber,
  replaceNumber,
  replaceWord,
  splice,
];

/** Damages a copy of the image in one to three places; now and then cuts it short too. */
export function mutate(victim: Victim, random: Random): Mutant {
  const bytes = victim.bytes.slice();
  const done: string[] = [];
  const count = pick(random, [1, 1, 1, 2, 3]);
  for (let i = 0; i < count; i++) done.push(pick(random, MUTATORS)(victim, bytes, random));
  const isCut = random(16) === 0;
  const length = isCut ? random(bytes.length + 1) : bytes.length;
  if (isCut) done.push(`cut to ${length}`);
  const mutant = bytes.slice(0, length);
  settleEncryption(mutant);
  return { bytes: mutant, description: done.join('; ') };
}
