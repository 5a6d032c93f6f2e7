import type { ForkableHasher, NewForkableHasher } from '../../base/hasher.js';

/** Disks that have had the same bytes so far, and the hash of these. */
interface Group {
  readonly hasher: ForkableHasher;
  readonly disks: readonly number[];
}

const ZEROS = new Uint8Array(2 ** 20);

/** Some bytes, or so many zeros. */
export type HashedBytes = Uint8Array | { readonly zeros: number };

/**
 * Hashes of many disks that are told their bytes side by side. As long as disks are alike they share one hash; where they
 * part, the state so far is copied, and not computed again.
 */
export class HashGroups {
  #groups: readonly Group[];

  /** @param disks their numbers. */
  constructor(disks: readonly number[], newHasher: NewForkableHasher) {
    this.#groups = disks.length === 0 ? [] : [{ hasher: newHasher(), disks }];
  }

  /**
   * Goes on by the next bytes of each disk.
   *
   * @param unitOf what a disk has next: disks with the same value have the same bytes; undefined: it has ended or
   *   can't be read, and is left out from now on.
   */
  update<Unit>(
    unitOf: (disk: number) => Unit | undefined,
    bytesOf: (unit: Unit) => HashedBytes,
  ): void {
    const next: Group[] = [];
    for (const { hasher, disks } of this.#groups) {
      const byUnit = new Map<Unit, number[]>();
      for (const disk of disks) {
        const unit = unitOf(disk);
        if (unit === undefined) continue;
        const same = byUnit.get(unit);
        if (same === undefined) byUnit.set(unit, [disk]);
        else same.push(disk);
      }
      let left = byUnit.size;
      // The last one takes the state itself: all others copied it before that goes on.
      const parts = [...byUnit].map(([unit, members]) => {
        left -= 1;
        return { unit, disks: members, hasher: left === 0 ? hasher : hasher.fork() };
      });
      for (const { unit, ...group } of parts) {
        updateBy(group.hasher, bytesOf(unit));
        next.push(group);
      }
    }
    this.#groups = next;
  }

  /** The digests of disks that end here. They get no more bytes. */
  digests(ends: (disk: number) => boolean): ReadonlyMap<number, string> {
    const found = new Map<number, string>();
    this.#groups = this.#groups.flatMap(({ hasher, disks }) => {
      const ended = disks.filter(ends);
      if (ended.length === 0) return [{ hasher, disks }];
      const others = disks.filter((disk) => !ends(disk));
      const digest = (others.length === 0 ? hasher : hasher.fork()).digest();
      for (const disk of ended) found.set(disk, digest);
      return others.length === 0 ? [] : [{ hasher, disks: others }];
    });
    return found;
  }
}

function updateBy(hasher: ForkableHasher, bytes: HashedBytes): void {
  if (bytes instanceof Uint8Array) {
    hasher.update(bytes);
    return;
  }
  for (let left = bytes.zeros; left > 0; left -= ZEROS.length) {
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  }
}
