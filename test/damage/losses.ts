/** What one state of an image no longer reads as another one did. */
import { isSame, type PlainDisk, type PlainImage } from './plain-image.js';

export interface Loss {
  readonly disk: PlainDisk;
  /** The guest cluster; undefined where the snapshot itself is gone. */
  readonly guest: number | undefined;
}

export const keyOf = ({ disk, guest }: Loss): string => `${disk.position}/${guest ?? 'entry'}`;

/** The disk of another state that is this one: by id, else by position where that is nobody else's. */
export function twinOf(disk: PlainDisk, from: PlainImage, to: PlainImage): PlainDisk | undefined {
  if (disk.position === 'active') return to.disks[0];
  const snapshots = to.disks.slice(1);
  const sameId = snapshots.find(({ id }) => id === disk.id);
  if (sameId !== undefined) return sameId;
  const samePlace = snapshots.find(({ position }) => position === disk.position);
  const isAnothers = from.disks.slice(1).some(({ id }) => id === samePlace?.id);
  return isAnothers ? undefined : samePlace;
}

/** Guest clusters that have an entry in either state. */
function guestsOf(
  from: PlainImage,
  disk: PlainDisk,
  to: PlainImage,
  twin: PlainDisk,
): ReadonlySet<number> {
  const guests = new Set(from.mapped(disk));
  if (to.clusterBytes === from.clusterBytes && to.entriesPerL2 === from.entriesPerL2) {
    for (const guest of to.mapped(twin)) guests.add(guest);
  }
  return guests;
}

/** All that `from` reads and `to` does not read so. `to` is undefined where it is no image. */
export function lossesOf(from: PlainImage, to: PlainImage | undefined): Loss[] {
  return from.disks.flatMap((disk) => {
    const twin = to === undefined ? undefined : twinOf(disk, from, to);
    if (to === undefined || twin === undefined || to.clusterBytes !== from.clusterBytes) {
      return [{ disk, guest: undefined }, ...allOf(from, disk)];
    }
    const lost: Loss[] = twin.hasL1 || !disk.hasL1 ? [] : [{ disk, guest: undefined }];
    for (const guest of guestsOf(from, disk, to, twin)) {
      const before = from.content(disk, guest);
      if (before === 'unreadable' || isSame(before, to.content(twin, guest))) continue;
      lost.push({ disk, guest });
    }
    return lost;
  });
}

/** Everything that a disk has an entry for, zeros too: there is nothing left to say that it is zeros. */
function allOf(image: PlainImage, disk: PlainDisk): Loss[] {
  return [...image.mapped(disk)]
    .filter((guest) => image.content(disk, guest) !== 'unreadable')
    .map((guest) => ({ disk, guest }));
}

/** `snapshot 0: 12 clusters, active: 3 clusters`. */
export function told(losses: readonly Loss[]): string {
  const byDisk = new Map<string, number>();
  for (const { disk, guest } of losses) {
    const name = disk.position === 'active' ? 'active' : `snapshot ${disk.position}`;
    byDisk.set(name, (byDisk.get(name) ?? 0) + (guest === undefined ? 0 : 1));
  }
  return [...byDisk].map(([name, count]) => `${name}: ${count} clusters`).join(', ');
}
