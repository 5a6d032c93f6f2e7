/** Damage as files suffer it. Each kind is aimed by a seed at one place of one sound image. */
import { pick, type Random } from '../support/mutate.js';
import type { Anatomy, PointerKind, Structure, StructureKind } from './anatomy.js';
import { guestData } from './guest-data.js';
import { lowerSomeRefcounts } from './lazy-refcounts.js';

export interface Damaged {
  readonly bytes: Uint8Array;
  /** What was done and where, to read. */
  readonly where: string;
}

/** The whole of what a kind may draw from: the image, and others that are not it. */
export interface Scene {
  readonly anatomy: Anatomy;
  readonly others: readonly Anatomy[];
}

/** Undefined where the image has nothing of the kind. */
export type Damage = (scene: Scene, random: Random) => Damaged | undefined;

const SECTOR = 512;
const MiB = 2 ** 20;

const hex = (at: number): string => `0x${at.toString(16)}`;

function structureOf(
  { structures }: Anatomy,
  kind: StructureKind,
  random: Random,
): Structure | undefined {
  const found = structures.filter((each) => each.kind === kind);
  return found.length === 0 ? undefined : pick(random, found);
}

/** The file ends at a structure's first or last byte, or one beside it. */
const cutAt =
  (kind: StructureKind): Damage =>
  ({ anatomy }, random) => {
    const found = structureOf(anatomy, kind, random);
    if (found === undefined) return undefined;
    const edge = pick(random, [0, found.bytes]);
    const beside = pick(random, [-1, 0, 1]);
    const length = found.at + edge + beside;
    const { bytes } = anatomy.image;
    if (length <= 0 || length >= bytes.length) return undefined;
    const where = `${kind} at ${hex(found.at)}, ${edge === 0 ? 'start' : 'end'} ${beside}`;
    return { bytes: bytes.slice(0, length), where: `cut to ${length} bytes: ${where}` };
  };

const cutByShare: Damage = ({ anatomy }, random) => {
  const { bytes } = anatomy.image;
  const length = 1 + random(bytes.length - 1);
  return { bytes: bytes.slice(0, length), where: `cut to ${length} of ${bytes.length} bytes` };
};

/** Zeros from a structure on, or from the sector of it that the seed finds. */
const zeroAt =
  (kind: StructureKind): Damage =>
  ({ anatomy }, random) => {
    const found = structureOf(anatomy, kind, random);
    if (found === undefined) return undefined;
    const length = pick(random, [SECTOR, SECTOR, anatomy.plain.clusterBytes, MiB]);
    const sectors = Math.ceil(found.bytes / SECTOR);
    // What is used of a table is at its start more often than not.
    const sector = length === SECTOR && random(2) === 0 ? random(sectors) : 0;
    const at = found.at + sector * SECTOR;
    const bytes = anatomy.image.bytes.slice();
    bytes.fill(0, at, at + length);
    return { bytes, where: `${length} zeros at ${hex(at)}: ${kind} at ${hex(found.at)}` };
  };

const TARGETS: readonly StructureKind[] = [
  'refcount table',
  'refcount block',
  'snapshot table',
  'active L1',
  'snapshot L1',
  'active L2',
  'snapshot L2',
];

const LINE = 'Nov 13 22:13:20 host systemd[1]: Started Daily apt download activities.\n';

const text = (length: number): Uint8Array =>
  new TextEncoder().encode(LINE.repeat(Math.ceil(length / LINE.length))).subarray(0, length);

type Overwriting = (anatomy: Anatomy, length: number, random: Random) => Uint8Array;

const overwritten =
  (what: Overwriting): Damage =>
  ({ anatomy }, random) => {
    const kind = pick(random, TARGETS);
    const found = structureOf(anatomy, kind, random);
    if (found === undefined) return undefined;
    const length = pick(random, [SECTOR, anatomy.plain.clusterBytes]);
    const bytes = anatomy.image.bytes.slice();
    const over = what(anatomy, length, random);
    bytes.set(over.subarray(0, bytes.length - found.at), found.at);
    return { bytes, where: `${length} bytes at ${hex(found.at)}: ${kind}` };
  };

const noise: Overwriting = (_, length, random) => Uint8Array.from({ length }, () => random(256));

const otherStructure: Overwriting = ({ image, structures }, length, random) => {
  const from = pick(
    random,
    structures.filter(({ kind }) => kind !== 'data'),
  );
  return image.bytes.slice(from.at, from.at + length);
};

const flipIn =
  (kind: PointerKind): Damage =>
  ({ anatomy }, random) => {
    const found = anatomy.pointers.filter((pointer) => pointer.kind === kind);
    if (found.length === 0) return undefined;
    const pointer = pick(random, found);
    const bit = random(pointer.bytes * 8);
    const at = pointer.at + Math.floor(bit / 8);
    const bytes = anatomy.image.bytes.slice();
    bytes[at] = bytes[at]! ^ (0x80 >> (bit % 8));
    return {
      bytes,
      where: `bit ${pointer.bytes * 8 - 1 - bit} of the ${kind} at ${hex(pointer.at)}`,
    };
  };

const olderHeader =
  (wholeCluster: boolean): Damage =>
  ({ anatomy }, random) => {
    const { image, plain } = anatomy;
    const back = random(image.earlier.length);
    const length = wholeCluster ? plain.clusterBytes : SECTOR;
    const bytes = image.bytes.slice();
    bytes.set(image.earlier[back]!.subarray(0, length));
    return { bytes, where: `first ${length} bytes from ${back + 1} snapshots before` };
  };

const swapped =
  (one: readonly StructureKind[], other: readonly StructureKind[]): Damage =>
  ({ anatomy }, random) => {
    const first = structureOf(anatomy, pick(random, one), random);
    const second = structureOf(anatomy, pick(random, other), random);
    if (first === undefined || second === undefined) return undefined;
    const { clusterBytes } = anatomy.plain;
    const { length } = anatomy.image.bytes;
    const source = new Uint8Array(Math.ceil(length / clusterBytes) * clusterBytes);
    source.set(anatomy.image.bytes);
    const bytes = source.slice();
    bytes.set(source.subarray(first.at, first.at + clusterBytes), second.at);
    bytes.set(source.subarray(second.at, second.at + clusterBytes), first.at);
    const where = `${first.kind} at ${hex(first.at)} and ${second.kind} at ${hex(second.at)}`;
    return { bytes, where };
  };

const tailOfAnother: Damage = ({ anatomy, others }, random) => {
  const { bytes } = anatomy.image;
  const { clusterBytes } = anatomy.plain;
  const from = clusterBytes * (1 + random(bytes.length / clusterBytes - 1));
  const isImage = random(2) === 0;
  const other = isImage ? pick(random, others).image : undefined;
  const file = other?.bytes ?? guestData(random, bytes.length);
  const tail = file.subarray(Math.min(from, file.length));
  const joined = new Uint8Array(from + tail.length);
  joined.set(bytes.subarray(0, from));
  joined.set(tail, from);
  const whose = other === undefined ? 'a file of guest data' : `the image "${other.name}"`;
  return { bytes: joined, where: `from ${hex(from)} on ${whose}` };
};

/** A machine that was killed: the mark alone, or with refcounts that were not written yet. */
const dirty: Damage = ({ anatomy }, random) => {
  if (anatomy.plain.version < 3) return undefined;
  const bytes = anatomy.image.bytes.slice();
  bytes[79] = bytes[79]! | 1;
  const lowered = random(2) === 0 ? [] : lowerSomeRefcounts(bytes, anatomy, random);
  return { bytes, where: `dirty bit, refcounts not written: ${lowered.join(', ') || 'none'}` };
};

const named = <K extends string>(
  verb: string,
  kinds: readonly K[],
  damage: (kind: K) => Damage,
): [string, Damage][] => kinds.map((kind) => [`${verb}: ${kind}`, damage(kind)]);

const TABLES: readonly StructureKind[] = ['active L1', 'snapshot L1', 'active L2', 'snapshot L2'];

/** By name. The order and the names are part of what a seed means. */
export const KINDS: ReadonlyMap<string, Damage> = new Map<string, Damage>([
  ...named<StructureKind>('cut', ['header', ...TARGETS, 'data'], cutAt),
  ['cut: anywhere', cutByShare],
  ...named<StructureKind>('zeroed', [...TARGETS, 'data'], zeroAt),
  ['overwritten: text', overwritten((_, length) => text(length))],
  ['overwritten: noise', overwritten(noise)],
  ['overwritten: another structure', overwritten(otherStructure)],
  ...named<PointerKind>(
    'bit flipped',
    [
      'L1 offset in the header',
      'snapshot table offset in the header',
      'refcount table offset in the header',
      'refcount table entry',
      'refcount',
      'L1 offset of a snapshot',
      'active L1 entry',
      'snapshot L1 entry',
      'active L2 entry',
      'snapshot L2 entry',
    ],
    flipIn,
  ),
  ['older header: first sector', olderHeader(false)],
  ['older header: first cluster', olderHeader(true)],
  ['swapped: two tables', swapped(TABLES, TABLES)],
  ['swapped: a table and data', swapped(TABLES, ['data'])],
  ['swapped: two data clusters', swapped(['data'], ['data'])],
  ['tail of another file', tailOfAnother],
  ['dirty', dirty],
]);
