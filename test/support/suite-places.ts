/** How the damages of `suite-damages.ts` find their places in an image, and what they do there. */
import type { FindingCode, RepairChoice } from '../../src/index.js';
import type { L2Place, Patient } from './damage.js';
import {
  blockAt,
  blockEntries,
  COPIED_BIT,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  refcountOf,
  snapshotsOf,
  u32,
  u64,
} from './image-builder-layout.js';

export interface SuiteDamage {
  /** Returns the damaged bytes; undefined where the image has nothing of the kind. */
  readonly make: (patient: Patient) => Uint8Array | undefined;
  /** Findings that no class mends: they are named, as the check's remedy says. */
  readonly findings?: readonly FindingCode[];
  /** What has to be given up by name for the rest. */
  readonly givesUp?: Pick<
    RepairChoice,
    'dropUnreadSnapshots' | 'dropSnapshots' | 'dropBitmaps' | 'emptyL1s'
  >;
  /** QEMU does not mend it; here a choice does. */
  readonly beyondQemu?: true;
}

/** Changes the word at the place that is found, if one is. */
export const word =
  (
    where: (patient: Patient) => number | undefined,
    to: (was: bigint, patient: Patient) => bigint | undefined,
  ) =>
  (patient: Patient): Uint8Array | undefined => {
    const at = where(patient);
    if (at === undefined) return undefined;
    const value = to(u64(patient.bytes, at), patient);
    if (value === undefined) return undefined;
    putU64(patient.bytes, at, BigInt.asUintN(64, value));
    return patient.bytes;
  };

export const withOffset = (was: bigint, offset: number | bigint): bigint =>
  (was & ~OFFSET_MASK) | BigInt(offset);
export const endOf = ({ fileClusters, layout }: Patient): number =>
  fileClusters * layout.clusterBytes;

export const activeL1 = ({ layout }: Patient): number => layout.l1At;
export const tableEntry = ({ layout }: Patient): number => layout.refcountTableAt;
export const secondTableEntry = ({ layout }: Patient): number | undefined =>
  layout.clusterBytes > 8 ? layout.refcountTableAt + 8 : undefined;
export const snapshotL1 = ({ bytes }: Patient): number | undefined =>
  snapshotsOf(bytes).snapshots.find(({ l1At, l1Entries }) => l1At > 0 && l1Entries > 0)?.l1At;
export const activeData = ({ standard }: Patient): L2Place | undefined =>
  standard.find(({ active }) => active);
export const dataEntry = (patient: Patient): number | undefined => activeData(patient)?.at;
export const ownDataEntry = ({ standard }: Patient): number | undefined =>
  standard.find(({ active, entry }) => active && (entry & COPIED_BIT) !== 0n)?.at;
export const snapshotDataEntry = ({ standard }: Patient): number | undefined =>
  standard.find(({ active }) => !active)?.at;
export const packedEntry = ({ compressed }: Patient): number | undefined => compressed[0]?.at;

export const tableOf = (patient: Patient, active: boolean): number | undefined =>
  patient.l2s.find((l2) => l2.active === active)?.at;

/** Sets the stored refcount of the cluster at an offset. */
export const counted =
  (
    where: (patient: Patient) => number | bigint | undefined,
    value: (was: bigint) => bigint = () => 0n,
  ) =>
  (patient: Patient): Uint8Array | undefined => {
    const { bytes, layout } = patient;
    const offset = where(patient);
    if (offset === undefined) return undefined;
    const cluster = Math.floor(Number(offset) / layout.clusterBytes);
    const block = blockAt(bytes, layout, cluster);
    const count = value(refcountOf(bytes, layout, cluster));
    if (block === 0 || count >= 2n ** BigInt(layout.refcountBits)) return undefined;
    putRefcountAt(bytes, block, layout.refcountBits, cluster % blockEntries(layout), count);
    return bytes;
  };

export const blockOf = ({ bytes, layout }: Patient): bigint =>
  u64(bytes, layout.refcountTableAt) & OFFSET_MASK;

/** One damage after another; all of them have to find their place. */
export const both =
  (...damages: readonly SuiteDamage['make'][]) =>
  (patient: Patient): Uint8Array | undefined => {
    for (const damage of damages) if (damage(patient) === undefined) return undefined;
    return patient.bytes;
  };

export function zeroedBlock(patient: Patient): Uint8Array {
  const at = Number(blockOf(patient));
  return patient.bytes.fill(0, at, at + patient.layout.clusterBytes);
}

export function withoutRefcountTable({ bytes }: Patient): Uint8Array {
  putU64(bytes, 48, 0n);
  putU32(bytes, 56, 0);
  return bytes;
}

/** A cluster behind all others holds data that a free place of an L2 table maps and nothing counts. */
export function uncountedAtEnd(patient: Patient): Uint8Array | undefined {
  const { bytes, layout, fileClusters } = patient;
  const at = layout.extendedL2 ? undefined : freeEntry(patient);
  if (at === undefined) return undefined;
  const longer = new Uint8Array((fileClusters + 1) * layout.clusterBytes);
  longer.set(bytes);
  longer.fill(0x2a, fileClusters * layout.clusterBytes);
  putU64(longer, at, COPIED_BIT | BigInt(fileClusters * layout.clusterBytes));
  return longer;
}

function freeEntry({ bytes, layout, l2s, l1s }: Patient): number | undefined {
  const own = l2s.find(
    ({ at, active }) => active && refcountOf(bytes, layout, at / layout.clusterBytes) === 1n,
  );
  if (own === undefined) return undefined;
  const isFirst = (u64(bytes, l1s[0]!.at) & OFFSET_MASK) === BigInt(own.at);
  const entries = Math.min(
    layout.clusterBytes / 8,
    isFirst ? Math.floor(layout.diskSizeBytes / layout.clusterBytes) : 1,
  );
  for (let i = 0; i < entries; i++) if (u64(bytes, own.at + i * 8) === 0n) return own.at + i * 8;
  return undefined;
}

/** How many sectors a compressed entry claims beyond its first: its bits from `62 - (cluster_bits - 8)` on. */
export const packedSectors =
  (to: (most: bigint) => bigint) =>
  (was: bigint, { layout }: Patient): bigint => {
    const from = BigInt(62 - (layout.clusterBits - 8));
    const mask = ((1n << (62n - from)) - 1n) << from;
    return (was & ~mask) | (to(mask >> from) << from);
  };

/** A field of 4 or 8 bytes of the first snapshot's entry, or of its last one's. */
export const inSnapshot =
  (bytes: 4 | 8, field: number, to: (was: bigint, patient: Patient) => bigint, which = 0) =>
  (patient: Patient): Uint8Array | undefined => {
    const entry = snapshotsOf(patient.bytes).snapshots.at(which);
    if (entry === undefined) return undefined;
    const at = entry.at + field;
    const was = bytes === 8 ? u64(patient.bytes, at) : BigInt(u32(patient.bytes, at));
    const value = to(was, patient);
    if (bytes === 8) putU64(patient.bytes, at, value);
    else putU32(patient.bytes, at, Number(value));
    return patient.bytes;
  };

/** The extra data of the only snapshot is made shorter, and what stood behind it moves up. */
export const extraCutTo =
  (length: number) =>
  ({ bytes, layout }: Patient): Uint8Array | undefined => {
    const [entry, more] = snapshotsOf(bytes).snapshots;
    if (entry === undefined || more !== undefined || layout.version < 3) return undefined;
    const extra = entry.at + 40;
    if (entry.extraBytes <= length || entry.diskSizeBytes !== layout.diskSizeBytes)
      return undefined;
    bytes.copyWithin(extra + length, extra + entry.extraBytes, extra + entry.extraBytes + 300);
    putU32(bytes, entry.at + 36, length);
    return bytes;
  };

const BITMAPS = 0x23852875;
export const bitmapsAt = ({ layout }: Patient): number | undefined =>
  layout.extensions.find(({ type }) => type === BITMAPS)?.at;
export const firstBitmap = (patient: Patient): number | undefined => {
  const extension = bitmapsAt(patient);
  return extension === undefined ? undefined : Number(u64(patient.bytes, extension + 16));
};
export const plus =
  (where: (patient: Patient) => number | undefined, more: number) =>
  (patient: Patient): number | undefined => {
    const at = where(patient);
    return at === undefined ? undefined : at + more;
  };

/** The first entry of the first bitmap's table that names a cluster. */
export const bitmapEntry = (patient: Patient): number | undefined => {
  const bitmap = firstBitmap(patient);
  if (bitmap === undefined) return undefined;
  const at = Number(u64(patient.bytes, bitmap));
  const entries = u32(patient.bytes, bitmap + 8);
  for (let i = 0; i < entries; i++) if (u64(patient.bytes, at + i * 8) > 1n) return at + i * 8;
  return undefined;
};

export function bitmapsUntrusted(patient: Patient): Uint8Array | undefined {
  if (bitmapsAt(patient) === undefined) return undefined;
  patient.bytes[95]! &= 0xfe;
  return patient.bytes;
}

/** Makes a version 2 image one of version 3 without a change to its snapshot table. */
export function raisedVersion({ bytes, layout }: Patient): Uint8Array | undefined {
  if (layout.version !== 2 || layout.extensions.length > 0) return undefined;
  if (u64(bytes, 8) !== 0n || bytes.subarray(72, 112).some((byte) => byte !== 0)) return undefined;
  putU32(bytes, 4, 3);
  putU32(bytes, 96, 4);
  putU32(bytes, 100, 104);
  return bytes;
}

export const flag =
  (bit: bigint, byteAt = 72) =>
  (patient: Patient): Uint8Array | undefined =>
    patient.layout.version < 3
      ? undefined
      : word(
          () => byteAt,
          (was) => was | bit,
        )(patient);
