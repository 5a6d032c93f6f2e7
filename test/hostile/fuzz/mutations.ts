/** Makes one specimen of another: by field, by byte, by table, by cluster, by length. */
import { settleEncryption } from '../../support/encryption-claim.js';
import { pick, type Random } from '../../support/mutate.js';
import { fieldsOf, tablePlaces, type Field, type FieldMap } from './fields.js';
import { specimenOf, type Specimen } from './specimen.js';

/** A specimen in the making. */
interface Draft {
  readonly bytes: Uint8Array;
  readonly fields: FieldMap;
  readonly clusterBytes: number;
  readonly places: readonly number[];
}

type Mutation = (draft: Draft, random: Random, other: Uint8Array) => string;

const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;
const BITS = [0, 1, 7, 8, 9, 15, 16, 21, 22, 24, 31, 32, 33, 40, 47, 52, 53, 55, 56, 61, 62, 63];
/** Sizes that a file may have at no cost: holes are cheap. What counts every cluster still comes to an end. */
const HOLE_BYTES = [2 ** 20, 2 ** 26, 2 ** 30, 2 ** 33, 2 ** 35];

function read(bytes: Uint8Array, { at, bytes: width }: Field): bigint {
  let value = 0n;
  for (let i = 0; i < width; i++) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}

function write(bytes: Uint8Array, { at, bytes: width }: Field, value: bigint): void {
  for (let i = 0; i < width; i++) {
    bytes[at + i] = Number((value >> BigInt(8 * (width - 1 - i))) & 255n);
  }
}

function anyField({ fields }: Draft, random: Random): Field | undefined {
  const kinds = [...fields.keys()];
  return kinds.length === 0 ? undefined : pick(random, fields.get(pick(random, kinds))!);
}

/** A number of a field as numbers go wrong: near what it was, at a limit, at a place of the file. */
function wrong(draft: Draft, was: bigint, random: Random): bigint {
  const { bytes, clusterBytes, places } = draft;
  const size = BigInt(clusterBytes);
  const place = BigInt(places.length === 0 ? 0 : pick(random, places));
  const cluster = BigInt(random(Math.ceil(bytes.length / clusterBytes) + 1) * clusterBytes);
  const power = 1n << BigInt(pick(random, BITS));
  return pick<() => bigint>(random, [
    () => was + 1n,
    () => was - 1n,
    () => was + size,
    () => was - size,
    () => was * 2n,
    () => was ^ power,
    () => power,
    () => power - 1n,
    () => place,
    () => place | COPIED,
    () => cluster,
    () => cluster | COPIED,
    () => cluster | COMPRESSED,
    () => was ^ COPIED,
    () => was ^ COMPRESSED,
    () => was | (1n << BigInt(random(64))),
    () => BigInt(random(64)),
    () => BigInt(bytes.length) + BigInt(random(3) - 1),
    () => (place & ~511n) | BigInt(random(512)),
    () => 0n,
    () => (1n << 64n) - 1n,
  ])();
}

const replaceField: Mutation = (draft, random) => {
  const field = anyField(draft, random);
  if (field === undefined) return 'nothing';
  const value = BigInt.asUintN(field.bytes * 8, wrong(draft, read(draft.bytes, field), random));
  write(draft.bytes, field, value);
  return `${field.name} at ${field.at} = 0x${value.toString(16)}`;
};

const copyField: Mutation = (draft, random) => {
  const [from, to] = [anyField(draft, random), anyField(draft, random)];
  if (from === undefined || to === undefined) return 'nothing';
  write(draft.bytes, to, BigInt.asUintN(to.bytes * 8, read(draft.bytes, from)));
  return `${to.name} at ${to.at} as ${from.name} at ${from.at}`;
};

/** A character that a terminal obeys, in a name. */
const evilText: Mutation = (draft, random) => {
  const kinds = ['snapshot text', 'backing name', 'bitmap name', 'extension data', 'LUKS names'];
  const found = kinds.filter((kind) => draft.fields.has(kind));
  if (found.length === 0) return 'nothing';
  const { at, name } = pick(random, draft.fields.get(pick(random, found))!);
  const text = pick(random, ['\x1b[2J', '\n', '\r', '\u202e', '\u2028', '\x9b', '\0', '\u{e0041}']);
  const evil = random(4) === 0 ? new Uint8Array([0xff, 0xc0, 0x80]) : Buffer.from(text);
  draft.bytes.set(evil.subarray(0, draft.bytes.length - at), at);
  return `evil ${name} at ${at}`;
};

const anyBytes: Mutation = ({ bytes }, random) => {
  const count = 1 + random(8);
  const near = random(2) === 0 ? Math.min(bytes.length, 512) : bytes.length;
  for (let i = 0; i < count && near > 0; i++) bytes[random(near)] = random(256);
  return `${count} bytes`;
};

const flipBits: Mutation = (draft, random) => {
  const field = anyField(draft, random);
  if (field === undefined) return 'nothing';
  const [at, bit] = [field.at + random(field.bytes), random(8)];
  draft.bytes[at]! ^= 1 << bit;
  return `bit ${bit} of ${at} (${field.name})`;
};

/** A stretch over another, in the file or from another one. */
const splice: Mutation = ({ bytes, places }, random, other) => {
  const length = pick(random, [8, 16, 40, 512, 4096]);
  const from = random(2) === 0 ? bytes : other;
  const source = Math.floor(random(Math.max(1, from.length - length)) / 8) * 8;
  const target = places.length > 0 && random(2) === 0 ? pick(random, places) : random(bytes.length);
  const at = Math.floor(target / 8) * 8;
  bytes.set(from.slice(source, source + Math.max(0, Math.min(length, bytes.length - at))), at);
  return `${length} bytes from ${source} to ${at}`;
};

/** Every used entry of a table gets the same value: cycles, and one cluster with many owners. */
const fillTable: Mutation = (draft, random) => {
  const kinds = [
    'active L1',
    'inactive L1',
    'L2',
    'refcount table',
    'bitmap table',
    'refcount block',
  ];
  const found = kinds.filter((kind) => draft.fields.has(kind));
  if (found.length === 0) return 'nothing';
  const kind = pick(random, found);
  const fields = draft.fields.get(kind)!;
  const value = wrong(draft, read(draft.bytes, pick(random, fields)), random);
  for (const field of fields) write(draft.bytes, field, BigInt.asUintN(field.bytes * 8, value));
  return `all of ${kind} = 0x${value.toString(16)}`;
};

const MUTATIONS: readonly Mutation[] = [
  ...[replaceField, replaceField, replaceField, replaceField, replaceField, replaceField],
  ...[copyField, copyField, flipBits, flipBits, anyBytes, evilText, splice, fillTable],
];

export interface Mutated {
  readonly specimen: Specimen;
  /** What was done, for people; the file itself is what makes a failure again. */
  readonly description: string;
}

/** A mutant of a specimen; `other` is one that pieces may be taken from. */
export function mutated(from: Specimen, other: Specimen, random: Random): Mutated {
  const bytes = from.bytes.slice();
  const done: string[] = [];
  const count = pick(random, [1, 1, 1, 2, 2, 3, 5]);
  for (let i = 0; i < count && bytes.length > 0; i++) {
    const fields = fieldsOf(bytes);
    const bits = Math.min(Math.max(Number(read(bytes, { at: 20, bytes: 4, name: '' })), 9), 21);
    const draft = { bytes, fields, clusterBytes: 2 ** bits, places: tablePlaces(bytes, fields) };
    done.push(pick(random, MUTATIONS)(draft, random, other.bytes));
  }
  settleEncryption(bytes);
  return resized(specimenOf(bytes, from.sizeBytes), done, random);
}

/** Now and then the file is cut, or goes on with a hole. */
function resized({ bytes, sizeBytes }: Specimen, done: string[], random: Random): Mutated {
  const chance = random(32);
  if (chance === 0 && bytes.length > 0) {
    const length = random(bytes.length);
    done.push(`cut to ${length}`);
    const cut = bytes.slice(0, length);
    settleEncryption(cut);
    return { specimen: specimenOf(cut), description: done.join('; ') };
  }
  const size = chance === 1 ? pick(random, HOLE_BYTES) + random(2) * 512 : sizeBytes;
  if (chance === 1) done.push(`a hole up to ${size}`);
  return { specimen: specimenOf(bytes, size), description: done.join('; ') };
}
