/**
 * The oracle: it knows the image before the damage, and says what a check overlooked and what a
 * repair destroyed. I is the sound image, J the damaged one, K what a repair made of J.
 */
import { keyOf, lossesOf, told, twinOf } from './losses.js';
import { isSame, PlainImage } from './plain-image.js';
import { unknowable } from './unknowable.js';
import type { Anatomy } from './anatomy.js';

export interface States {
  readonly sound: Anatomy;
  /** Undefined where the damage left no header to go by. */
  readonly damaged: PlainImage | undefined;
  /** Keys of what the damage lost. */
  readonly lost: ReadonlySet<string>;
  /** Of those, what can't be known. */
  readonly excused: ReadonlySet<string>;
}

export function statesOf(sound: Anatomy, bytes: Uint8Array): States {
  const damaged = PlainImage.of(bytes);
  const losses = lossesOf(sound.plain, damaged);
  const excused = unknowable(sound.plain, damaged, losses);
  return { sound, damaged, lost: new Set(losses.map(keyOf)), excused };
}

/** What was lost without an excuse, in words; undefined where nothing was. */
export function lostIn(
  { sound, excused }: States,
  state: PlainImage | undefined,
): string | undefined {
  const losses = lossesOf(sound.plain, state).filter((loss) => !excused.has(keyOf(loss)));
  return losses.length === 0 ? undefined : told(losses);
}

export interface Harm {
  /** What read right in J, and does not in K; or what J still held, and K has overwritten. */
  readonly harmed?: string;
  /** What I referred to and J still holds, and K counts as free or as fewer owners' than it has. */
  readonly freed?: string;
  /** What read wrong in J and reads otherwise in K. */
  readonly changed?: string;
  /** What J could not read and K reads as something that it never was; snapshots that J had not. */
  readonly invented?: string;
}

export function harmOf(states: States, repaired: PlainImage | undefined): Harm {
  const harmed = [rightAndLost(states, repaired), overwritten(states, repaired)];
  const [freed, changed] = [freedIn(states, repaired), changedIn(states, repaired)];
  const invented = inventedIn(states, repaired);
  return {
    ...(harmed.some((each) => each !== '') && { harmed: harmed.filter(Boolean).join('; ') }),
    ...(freed !== '' && { freed }),
    ...(changed !== '' && { changed }),
    ...(invented !== '' && { invented }),
  };
}

/** Losses from I to K that J did not have. */
function rightAndLost({ sound, lost }: States, repaired: PlainImage | undefined): string {
  const fresh = lossesOf(sound.plain, repaired).filter((loss) => !lost.has(keyOf(loss)));
  return fresh.length === 0 ? '' : `read right before: ${told(fresh)}`;
}

/** Host clusters of I that J holds unchanged and has lost a way to. */
function* lostTreasure({ sound, damaged }: States): Generator<number> {
  for (const cluster of sound.treasure) {
    const ways = damaged?.references.get(cluster) ?? 0;
    if (ways >= sound.plain.references.get(cluster)!) continue;
    if (damaged === undefined || isIntact(sound.plain, damaged, cluster)) yield cluster;
  }
}

/** A cluster at the end of the file may have been given its missing zeros. */
function isIntact(from: PlainImage, to: PlainImage, cluster: number): boolean {
  const [one, other] = [from.hostCluster(cluster), to.hostCluster(cluster)];
  return other.length >= one.length && isSame(one, other.subarray(0, one.length));
}

function overwritten(states: States, repaired: PlainImage | undefined): string {
  const { sound, damaged } = states;
  if (repaired === undefined) return '';
  const gone = [...lostTreasure(states)].filter(
    (cluster) =>
      (damaged?.references.get(cluster) ?? 0) === 0 && !isIntact(sound.plain, repaired, cluster),
  );
  return gone.length === 0 ? '' : `overwritten though intact: ${clustersTold(sound, gone)}`;
}

function freedIn(states: States, repaired: PlainImage | undefined): string {
  const freed = [...lostTreasure(states)].filter((cluster) => isFreed(states, repaired, cluster));
  return freed.length === 0 ? '' : clustersTold(states.sound, freed);
}

function isFreed(
  { sound, damaged }: States,
  repaired: PlainImage | undefined,
  cluster: number,
): boolean {
  if (repaired === undefined || damaged === undefined) return false;
  const [before, now] = [damaged.refcount(cluster), repaired.refcount(cluster) ?? 0];
  // What counted as free before the repair was not freed by it.
  const isLowered = before === undefined || now < before;
  return isLowered && now < sound.plain.references.get(cluster)!;
}

function changedIn({ damaged, lost }: States, repaired: PlainImage | undefined): string {
  if (damaged === undefined) return '';
  const changed = lossesOf(damaged, repaired).filter((loss) => lost.has(keyOf(loss)));
  return changed.length === 0 ? '' : told(changed);
}

function inventedIn({ sound, damaged, lost }: States, repaired: PlainImage | undefined): string {
  if (damaged === undefined || repaired === undefined) return '';
  const snapshots = repaired.disks.length - damaged.disks.length;
  if (snapshots > 0) return `${snapshots} snapshots`;
  const filled = lossesOf(sound.plain, repaired).filter(({ disk, guest }) => {
    const [before, now] = [damaged, repaired].map((state) => twinOf(disk, sound.plain, state));
    if (guest === undefined || before === undefined || now === undefined) return false;
    if (!lost.has(keyOf({ disk, guest }))) return false;
    const wasUnreadable = damaged.content(before, guest) === 'unreadable';
    return wasUnreadable && repaired.content(now, guest) !== 'unreadable';
  });
  return filled.length === 0 ? '' : told(filled);
}

function clustersTold({ structures, plain }: Anatomy, clusters: readonly number[]): string {
  const kinds = new Map<string, number>();
  for (const cluster of clusters) {
    const at = cluster * plain.clusterBytes;
    const found = structures.find((each) => each.at <= at && at < each.at + each.bytes);
    const kind = found?.kind ?? 'unknown';
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(', ');
}

/** A stretch of the active disk that a guest wrote after the repair. */
export interface GuestWrite {
  readonly at: number;
  readonly bytes: number;
}

/** What guest writes after the repair destroyed that they did not write; undefined for nothing. */
export function hurtByWrites(
  states: States,
  repaired: PlainImage,
  written: PlainImage | undefined,
  writes: readonly GuestWrite[],
): string | undefined {
  const { clusterBytes } = repaired;
  const touched = new Set<number>();
  for (const { at, bytes } of writes) {
    const last = Math.floor((at + bytes - 1) / clusterBytes);
    for (let guest = Math.floor(at / clusterBytes); guest <= last; guest++) touched.add(guest);
  }
  const lost = lossesOf(repaired, written).filter(
    ({ disk, guest }) => disk.position !== 'active' || guest === undefined || !touched.has(guest),
  );
  if (lost.length > 0) return `reads otherwise: ${told(lost)}`;
  const gone = [...lostTreasure(states)].filter(
    (cluster) =>
      (repaired.references.get(cluster) ?? 0) === 0 &&
      !isFreed(states, repaired, cluster) &&
      isIntact(states.sound.plain, repaired, cluster) &&
      (written === undefined || !isIntact(states.sound.plain, written, cluster)),
  );
  return gone.length === 0 ? undefined : `overwritten: ${clustersTold(states.sound, gone)}`;
}
