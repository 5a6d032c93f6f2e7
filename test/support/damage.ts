/** Seeded damage of one kind at a time to sound images, for what judges and mends them. */
import { l2EntriesOf } from './image-builder-check.js';
import {
  blockAt,
  blockEntries,
  COMPRESSED_BIT,
  COPIED_BIT,
  layoutOf,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  refcountOf,
  snapshotsOf,
  u64,
  type PlainLayout,
} from './image-builder-layout.js';
import type { ChosenFinding } from '../../src/edit/repair/choice.js';
import { pick, type Random } from './mutate.js';

/** An image in memory and what damage needs to know of it. */
export interface Patient {
  readonly bytes: Uint8Array;
  readonly layout: PlainLayout;
  readonly fileClusters: number;
  /** Host clusters that have a refcount. */
  readonly used: readonly number[];
  readonly free: readonly number[];
  readonly l1s: readonly { at: number; entries: number; active: boolean }[];
  readonly l2s: readonly { at: number; active: boolean }[];
  /** Used L2 entries of standard clusters and of compressed ones. */
  readonly standard: readonly L2Place[];
  readonly compressed: readonly L2Place[];
}

export interface L2Place {
  /** Byte offset of the entry. */
  readonly at: number;
  readonly entry: bigint;
  readonly active: boolean;
}

/** A copy of the image, surveyed. */
export function patientOf(image: Uint8Array): Patient {
  const bytes = image.slice();
  const layout = layoutOf(bytes);
  const fileClusters = Math.ceil(bytes.length / layout.clusterBytes);
  const clusters = Array.from({ length: fileClusters }, (_, i) => i);
  const used = clusters.filter((cluster) => refcountOf(bytes, layout, cluster) !== 0n);
  const { snapshots } = snapshotsOf(bytes);
  const l1s = [
    { at: layout.l1At, entries: layout.l1Entries, active: true },
    ...snapshots.map(({ l1At, l1Entries }) => ({ at: l1At, entries: l1Entries, active: false })),
  ];
  const l2s = new Map<number, boolean>();
  for (const { at, entries, active } of l1s) {
    for (let i = 0; i < entries; i++) {
      const l2At = Number(u64(bytes, at + i * 8) & OFFSET_MASK);
      if (l2At !== 0) l2s.set(l2At, active || l2s.get(l2At) === true);
    }
  }
  const places = [...l2s].flatMap(([l2At, active]) =>
    [...l2EntriesOf(bytes, layout, l2At)].map(({ at, entry }) => ({ at, entry, active })),
  );
  return {
    bytes,
    layout,
    fileClusters,
    used,
    free: clusters.filter((cluster) => !used.includes(cluster)),
    l1s,
    l2s: [...l2s].map(([at, active]) => ({ at, active })),
    standard: places.filter(
      ({ entry }) => (entry & COMPRESSED_BIT) === 0n && (entry & OFFSET_MASK) !== 0n,
    ),
    compressed: places.filter(({ entry }) => (entry & COMPRESSED_BIT) !== 0n),
  };
}

/** Does the damage; returns what it did, or undefined where the image has nothing of the kind. */
export type Damage = (patient: Patient, random: Random) => string | undefined;

function setRefcount({ bytes, layout }: Patient, cluster: number, value: bigint): boolean {
  const block = blockAt(bytes, layout, cluster);
  if (block === 0 || value >= 2n ** BigInt(layout.refcountBits)) return false;
  putRefcountAt(bytes, block, layout.refcountBits, cluster % blockEntries(layout), value);
  return true;
}

function l1Entry(patient: Patient, random: Random): number | undefined {
  const all = patient.l1s.flatMap(({ at, entries }) =>
    Array.from({ length: entries }, (_, i) => at + i * 8),
  );
  const used = all.filter((at) => (u64(patient.bytes, at) & OFFSET_MASK) !== 0n);
  return used.length === 0 ? undefined : pick(random, used);
}

function change(
  patient: Patient,
  at: number | undefined,
  to: (was: bigint) => bigint,
): string | undefined {
  if (at === undefined) return undefined;
  const was = u64(patient.bytes, at);
  const value = BigInt.asUintN(64, to(was));
  putU64(patient.bytes, at, value);
  return `0x${was.toString(16)} at ${at} to 0x${value.toString(16)}`;
}

const anyOf = (places: readonly L2Place[], random: Random): number | undefined =>
  places.length === 0 ? undefined : pick(random, places).at;

/** Findings that no class mends, chosen by name: what a person decides who knows what was done. */
export const DECIDED: readonly ChosenFinding[] = (
  [
    'FILE_CUT_OFF',
    'L2_COMPRESSED_COPIED',
    'L2_COMPRESSED_WITH_SUBCLUSTERS',
    'METADATA_OVERLAP',
    'ZERO_FLAG_MEANINGLESS',
  ] as const
).map((code) => ({ code, at: undefined }));

/** Damage that changes nothing a guest reads: mended by a repair of class `all`, or by name. */
export const HARMLESS_DAMAGE: Readonly<Record<string, Damage>> = {
  'refcount too low': (patient, random) => {
    const cluster = pick(random, patient.used);
    const was = refcountOf(patient.bytes, patient.layout, cluster);
    return setRefcount(patient, cluster, was - 1n) ? `cluster ${cluster} from ${was}` : undefined;
  },
  'refcount zero': (patient, random) => {
    const cluster = pick(random, patient.used);
    return setRefcount(patient, cluster, 0n) ? `cluster ${cluster}` : undefined;
  },
  'refcount too high': (patient, random) => {
    const cluster = pick(random, patient.used);
    const was = refcountOf(patient.bytes, patient.layout, cluster);
    const max = 2n ** BigInt(Math.min(patient.layout.refcountBits, 16)) - 1n;
    return was < max && setRefcount(patient, cluster, pick(random, [was + 1n, max]))
      ? `cluster ${cluster} from ${was}`
      : undefined;
  },
  'leaked cluster': (patient, random) => {
    if (patient.free.length === 0) return undefined;
    const cluster = pick(random, patient.free);
    return setRefcount(patient, cluster, 1n) ? `cluster ${cluster}` : undefined;
  },
  'many refcounts': (patient, random) => {
    const done = patient.used.filter(() => random(3) === 0);
    const max = Math.min(2 ** patient.layout.refcountBits, 4);
    for (const cluster of done) setRefcount(patient, cluster, BigInt(random(max)));
    return done.length === 0 ? undefined : `clusters ${done.join(' ')}`;
  },
  'COPIED of an L2 entry': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => was ^ COPIED_BIT),
  'COPIED of an L1 entry': (patient, random) =>
    change(patient, l1Entry(patient, random), (was) => was ^ COPIED_BIT),
  'COPIED of a compressed entry': (patient, random) =>
    change(patient, anyOf(patient.compressed, random), (was) => was | COPIED_BIT),
  'reserved bits of an L2 entry': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => was | (1n << BigInt(56 + random(6)))),
  'reserved bits of an L1 entry': (patient, random) =>
    change(patient, l1Entry(patient, random), (was) => was | (1n << BigInt(56 + random(7)))),
  'refcount-table entry misaligned': (patient) =>
    change(patient, patient.layout.refcountTableAt, (was) => was | 0x200n),
  'refcount-table entry past the end': (patient, random) =>
    change(patient, patient.layout.refcountTableAt, () =>
      BigInt((patient.fileClusters + random(50)) * patient.layout.clusterBytes),
    ),
  'refcount-table entry lost': (patient) =>
    change(patient, patient.layout.refcountTableAt, () => 0n),
  'refcount block over data': (patient, random) => {
    const entry = anyOf(patient.standard, random);
    if (entry === undefined) return undefined;
    const target = u64(patient.bytes, entry) & OFFSET_MASK;
    return change(patient, patient.layout.refcountTableAt, () => target);
  },
  'extra data of a snapshot cut': (patient, random) => {
    const { snapshots } = snapshotsOf(patient.bytes);
    const { version, snapshotTableAt } = patient.layout;
    if (snapshots.length === 0 || version < 3) return undefined;
    const extra = pick(random, [0, 8]);
    const first = snapshots[0]!;
    // The entries behind it move up; sizes that are lost have the values that their absence means.
    if (snapshots.length > 1 || first.extraBytes < 16) return undefined;
    const { bytes, layout } = patient;
    const names = bytes.slice(
      snapshotTableAt + 40 + first.extraBytes,
      snapshotTableAt + 40 + first.extraBytes + 256,
    );
    putU32(bytes, snapshotTableAt + 36, extra);
    bytes.set(names, snapshotTableAt + 40 + extra);
    return first.diskSizeBytes === layout.diskSizeBytes && first.vmStateBytes === 0n
      ? `to ${extra} bytes`
      : undefined;
  },
  'marked dirty': (patient) =>
    patient.layout.version < 3 ? undefined : change(patient, 72, (was) => was | 1n),
  'marked corrupt': (patient) =>
    patient.layout.version < 3 ? undefined : change(patient, 72, (was) => was | 2n),
};

/** Damage that takes guest data away: mended by the class `unreadable`. */
export const UNREADABLE_DAMAGE: Readonly<Record<string, Damage>> = {
  'L2 entry past the end': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => {
      const cluster = BigInt(patient.fileClusters + random(20));
      return (was & ~OFFSET_MASK) | (cluster * BigInt(patient.layout.clusterBytes));
    }),
  'L2 entry misaligned': (patient, random) =>
    patient.layout.clusterBytes === 512
      ? undefined
      : change(patient, anyOf(patient.standard, random), (was) => was ^ 0x200n),
  'L1 entry past the end': (patient, random) =>
    change(patient, l1Entry(patient, random), (was) => {
      const cluster = BigInt(patient.fileClusters + random(20));
      return (was & COPIED_BIT) | (cluster * BigInt(patient.layout.clusterBytes));
    }),
  'L1 entry misaligned': (patient, random) =>
    patient.layout.clusterBytes === 512
      ? undefined
      : change(patient, l1Entry(patient, random), (was) => was ^ 0x200n),
};

/** Two owners of one cluster: what they hold is what it holds, and a write through one hurts both. */
export const OVERLAPS: Readonly<Record<string, Damage>> = {
  'data over an L2 table': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => {
      return (was & ~OFFSET_MASK) | BigInt(pick(random, patient.l2s).at);
    }),
  'data over an L1 table': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => {
      return (was & ~OFFSET_MASK) | BigInt(pick(random, patient.l1s).at);
    }),
  'data over the refcount table': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => {
      return (was & ~OFFSET_MASK) | BigInt(patient.layout.refcountTableAt);
    }),
  'data over a refcount block': (patient, random) =>
    change(patient, anyOf(patient.standard, random), (was) => {
      const block = u64(patient.bytes, patient.layout.refcountTableAt) & OFFSET_MASK;
      return (was & ~OFFSET_MASK) | block;
    }),
  'data over the snapshot table': (patient, random) =>
    patient.layout.snapshotCount === 0
      ? undefined
      : change(patient, anyOf(patient.standard, random), (was) => {
          return (was & ~OFFSET_MASK) | BigInt(patient.layout.snapshotTableAt);
        }),
};
