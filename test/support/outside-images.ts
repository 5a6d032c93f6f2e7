/** The images that edits of the built programs are made on: fixtures, and damaged copies of them. */
import { withoutRoom } from './crash-judge-stages.js';
import { HARMLESS_DAMAGE, patientOf, type Patient } from './damage.js';
import { loadFixture } from './fixture.js';
import {
  blockAt,
  blockEntries,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  snapshotsOf,
  u64,
} from './image-builder-layout.js';
import { pick, seededRandom, type Random } from './mutate.js';

/** What an edit works on. */
export type Condition =
  | 'sound'
  /** Nearly no cluster is free. */
  | 'full'
  /** A refcount is wrong. */
  | 'damaged'
  /** A repair has mended it. */
  | 'repaired'
  /** Guest data that nothing refers to counts as used. */
  | 'leaking'
  /** A snapshot is off the list, and all that it had still counts as used. */
  | 'unlisted'
  /** A refcount block can't be found. */
  | 'uncounted';

/** Kinds of damage that a stock check tells from a sound image, and that a repair mends wholly. */
const DAMAGES = ['refcount too high', 'refcount too low', 'leaked cluster'] as const;
const LEAKED_CLUSTERS = 3;

/** A fixture, or a copy of it in the condition that an edit wants. */
export function startingImage(fixture: string, on: Condition, seed: number): Uint8Array {
  const bytes = loadFixture(fixture);
  const random = seededRandom(seed);
  switch (on) {
    case 'sound':
      return bytes;
    case 'full':
      return withoutRoom(bytes, pick(random, [0, 1, 3]));
    case 'leaking':
      return leaking(bytes);
    case 'unlisted':
      return unlisted(bytes);
    case 'uncounted':
      return uncounted(patientOf(bytes), random);
    case 'damaged':
    case 'repaired':
      return damaged(fixture, patientOf(bytes), random);
  }
}

function damaged(fixture: string, patient: Patient, random: Random): Uint8Array {
  const done = DAMAGES.slice(random(2)).some(
    (kind) => HARMLESS_DAMAGE[kind]!(patient, random) !== undefined,
  );
  if (!done) throw new Error(`${fixture} was not damaged`);
  return patient.bytes;
}

/** As a guest that was stopped leaves it: clusters with its data behind the end, and no entry for them. */
function leaking(file: Uint8Array): Uint8Array {
  const { layout, fileClusters } = patientOf(file);
  const { clusterBytes, refcountBits } = layout;
  const bytes = new Uint8Array((fileClusters + LEAKED_CLUSTERS) * clusterBytes);
  bytes.set(file);
  bytes.fill(0x5a, fileClusters * clusterBytes);
  for (let cluster = fileClusters; cluster < fileClusters + LEAKED_CLUSTERS; cluster++) {
    const block = blockAt(bytes, layout, cluster);
    if (block === 0) throw new Error('no refcount block counts what lies behind the end');
    putRefcountAt(bytes, block, refcountBits, cluster % blockEntries(layout), 1n);
  }
  return bytes;
}

const SNAPSHOT_COUNT_AT = 60;
const SNAPSHOT_TABLE_AT = 64;

/** As a delete in place leaves it that was cut: the last snapshot is nobody's. */
function unlisted(bytes: Uint8Array): Uint8Array {
  const { length } = snapshotsOf(bytes).snapshots;
  putU32(bytes, SNAPSHOT_COUNT_AT, length - 1);
  if (length === 1) putU64(bytes, SNAPSHOT_TABLE_AT, 0n);
  return bytes;
}

/** An entry of the refcount table is gone, or leads to the middle of a cluster. */
function uncounted({ bytes, layout }: Patient, random: Random): Uint8Array {
  const { refcountTableAt, refcountTableClusters, clusterBytes } = layout;
  const entries = Array.from(
    { length: (refcountTableClusters * clusterBytes) / 8 },
    (_, i) => refcountTableAt + i * 8,
  ).filter((at) => (u64(bytes, at) & OFFSET_MASK) !== 0n);
  const at = pick(random, entries);
  const middle = u64(bytes, at) | BigInt(clusterBytes / 2);
  const isMisaligned = clusterBytes > 512 && random(2) === 0;
  putU64(bytes, at, isMisaligned ? middle : 0n);
  return bytes;
}
