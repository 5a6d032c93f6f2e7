/** Seeded damage to what hangs from the header beside the mapping: snapshots, bitmaps, encryption. */
import type { Damage, Patient } from './damage.js';
import { putU32, putU64, u16, u32, u64 } from './image-builder-layout.js';
import { pick, type Random } from './mutate.js';

const BITMAPS = 0x23852875;
const ENCRYPTION = 0x0537be77;

/** Byte offsets of the snapshot entries. */
function snapshotEntries({ bytes, layout }: Patient): readonly number[] {
  const found: number[] = [];
  let at = layout.snapshotTableAt;
  for (let i = 0; i < layout.snapshotCount; i++) {
    found.push(at);
    at += roundedTo8(40 + u32(bytes, at + 36) + u16(bytes, at + 12) + u16(bytes, at + 14));
  }
  return found;
}

function bitmapsExtension({ layout }: Patient): number | undefined {
  return layout.bitmapsValid
    ? layout.extensions.find(({ type }) => type === BITMAPS)?.at
    : undefined;
}

/** Byte offsets of the entries of the bitmap directory. */
function bitmapEntries(patient: Patient): readonly number[] {
  const extension = bitmapsExtension(patient);
  if (extension === undefined) return [];
  const { bytes } = patient;
  const found: number[] = [];
  let at = Number(u64(bytes, extension + 16));
  for (let i = 0; i < u32(bytes, extension); i++) {
    found.push(at);
    at += roundedTo8(24 + u32(bytes, at + 20) + u16(bytes, at + 18));
  }
  return found;
}

const roundedTo8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Places of tables that are somebody else's, and places that are nobody's. */
function wrongOffset({ layout, fileClusters, used }: Patient, random: Random): number {
  const { clusterBytes, l1At, refcountTableAt, snapshotTableAt } = layout;
  return pick(random, [
    0,
    clusterBytes,
    l1At,
    refcountTableAt,
    snapshotTableAt,
    pick(random, used) * clusterBytes,
    pick(random, used) * clusterBytes + 512,
    fileClusters * clusterBytes,
    (fileClusters + random(40)) * clusterBytes,
    2 ** 56,
  ]);
}

function put64(patient: Patient, at: number | undefined, value: bigint): string | undefined {
  if (at === undefined) return undefined;
  const was = u64(patient.bytes, at);
  if (was === value) return undefined;
  putU64(patient.bytes, at, value);
  return `0x${was.toString(16)} at ${at} to 0x${value.toString(16)}`;
}

function put32(patient: Patient, at: number | undefined, value: number): string | undefined {
  if (at === undefined) return undefined;
  const was = u32(patient.bytes, at);
  if (was === value >>> 0) return undefined;
  putU32(patient.bytes, at, value);
  return `${was} at ${at} to ${value >>> 0}`;
}

const near = (random: Random, was: number): number =>
  pick(random, [0, was - 1, was + 1, was * 2, 2 ** 31, 2 ** 32 - 1]);

/** A field of 8 bytes of some entry gets an offset that is wrong. */
const offsetIn =
  (entries: (patient: Patient) => readonly number[], field: number): Damage =>
  (patient, random) => {
    const all = entries(patient);
    if (all.length === 0) return undefined;
    return put64(patient, pick(random, all) + field, BigInt(wrongOffset(patient, random)));
  };

/** A field of 4 bytes of some entry gets a number that is near or far. */
const numberIn =
  (entries: (patient: Patient) => readonly number[], field: number): Damage =>
  (patient, random) => {
    const all = entries(patient);
    if (all.length === 0) return undefined;
    const at = pick(random, all) + field;
    return put32(patient, at, near(random, u32(patient.bytes, at)));
  };

/** Two lengths of 2 bytes each in one word. */
const lengthsIn =
  (entries: (patient: Patient) => readonly number[], field: number): Damage =>
  (patient, random) => {
    const all = entries(patient);
    if (all.length === 0) return undefined;
    const at = pick(random, all) + field;
    const shift = pick(random, [0, 16]);
    const value = pick(random, [0, 1, 255, 1024, 0xffff]);
    const kept = u32(patient.bytes, at) & (shift === 0 ? 0xffff_0000 : 0xffff);
    return put32(patient, at, (kept | (value << shift)) >>> 0);
  };

/** An entry of some bitmap's table: the place of a cluster, or that all of it is set or clear. */
const bitmapTableEntry: Damage = (patient, random) => {
  const tables = bitmapEntries(patient).filter((at) => u32(patient.bytes, at + 8) > 0);
  if (tables.length === 0) return undefined;
  const entry = pick(random, tables);
  const table = Number(u64(patient.bytes, entry));
  const at = table + 8 * random(u32(patient.bytes, entry + 8));
  const value = pick(random, [1, 2, 256, wrongOffset(patient, random)]);
  return put64(patient, at, BigInt(value));
};

const extensionOf =
  (type: number, damage: (patient: Patient, at: number, random: Random) => string | undefined) =>
  (patient: Patient, random: Random): string | undefined => {
    const extension = patient.layout.extensions.find((each) => each.type === type);
    return extension === undefined ? undefined : damage(patient, extension.at, random);
  };

/** Damage to snapshot tables, bitmaps and the encryption header. */
export const TABLE_DAMAGE: Readonly<Record<string, Damage>> = {
  'number of snapshots': (patient, random) =>
    put32(patient, 60, near(random, patient.layout.snapshotCount)),
  'place of the snapshot table': (patient, random) =>
    patient.layout.snapshotCount === 0
      ? undefined
      : put64(patient, 64, BigInt(wrongOffset(patient, random))),
  'place of a snapshot L1': offsetIn(snapshotEntries, 0),
  'length of a snapshot L1': numberIn(snapshotEntries, 8),
  'lengths of id and name of a snapshot': lengthsIn(snapshotEntries, 12),
  'VM state size of a snapshot': numberIn(snapshotEntries, 32),
  'extra data size of a snapshot': numberIn(snapshotEntries, 36),
  'number of bitmaps': extensionOf(BITMAPS, (patient, at, random) =>
    put32(patient, at, near(random, u32(patient.bytes, at))),
  ),
  'size of the bitmap directory': extensionOf(BITMAPS, (patient, at, random) =>
    put64(patient, at + 8, BigInt(near(random, Number(u64(patient.bytes, at + 8))))),
  ),
  'place of the bitmap directory': extensionOf(BITMAPS, (patient, at, random) =>
    put64(patient, at + 16, BigInt(wrongOffset(patient, random))),
  ),
  'place of a bitmap table': offsetIn(bitmapEntries, 0),
  'length of a bitmap table': numberIn(bitmapEntries, 8),
  'flags of a bitmap': numberIn(bitmapEntries, 12),
  'type, granularity and name of a bitmap': lengthsIn(bitmapEntries, 16),
  'extra data size of a bitmap': numberIn(bitmapEntries, 20),
  'entry of a bitmap table': bitmapTableEntry,
  'place of the encryption header': extensionOf(ENCRYPTION, (patient, at, random) =>
    put64(patient, at, BigInt(wrongOffset(patient, random))),
  ),
  'length of the encryption header': extensionOf(ENCRYPTION, (patient, at, random) =>
    put64(patient, at + 8, BigInt(near(random, Number(u64(patient.bytes, at + 8))))),
  ),
};
