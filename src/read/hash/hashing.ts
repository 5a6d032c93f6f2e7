import { HashGroups, type HashedBytes } from './hash-groups.js';
import type { HashDisksOptions, HashedPiece } from './hash-options.js';
import type { Column, Unit } from './unit-columns.js';

/** The hashes of all disks and of their pieces, by columns that ascend without gaps. */
export class Hashing {
  readonly #sizes: readonly number[];
  readonly #options: HashDisksOptions;
  readonly #lost = new Set<number>();
  readonly #digests = new Map<number, string>();
  readonly #wholes: HashGroups | undefined;
  #pieces: HashGroups | undefined;
  /** Guest offset up to which all disks are hashed. */
  doneBytes = 0;

  /** @param sizes of the disks in bytes. */
  constructor(sizes: readonly number[], options: HashDisksOptions) {
    this.#sizes = sizes;
    this.#options = options;
    const all = [...sizes.keys()];
    if (options.whole !== false) this.#wholes = new HashGroups(all, options.newHasher);
    this.#endAt(0, 0);
  }

  isLost(disk: number): boolean {
    return this.#lost.has(disk);
  }

  /** The disk can't be read any further. */
  lose(disk: number): void {
    this.#lost.add(disk);
    this.#digests.delete(disk);
  }

  update(
    column: Column,
    bytes: ReadonlyMap<Unit, Uint8Array>,
    onPiece: (piece: HashedPiece) => void,
  ): void {
    const unitOf = (disk: number): Unit | undefined =>
      this.#lost.has(disk) ? undefined : column[disk];
    this.#wholes?.update(unitOf, (unit) => bytes.get(unit) ?? { zeros: unit.length });
    const at = this.doneBytes;
    let to = at;
    for (const unit of column) if (unit !== undefined) to = Math.max(to, unit.at + unit.length);
    if (this.#options.pieceBytes !== undefined) {
      this.#hashPieces({ at, to, unitOf, bytes }, this.#options.pieceBytes, onPiece);
    }
    this.doneBytes = to;
    this.#endAt(at, to);
  }

  /** Takes the digests of disks that end there. */
  #endAt(from: number, to: number): void {
    if (this.#wholes === undefined) return;
    if (to > 0 && !this.#sizes.some((bytes) => bytes > from && bytes <= to)) return;
    const ended = this.#wholes.digests((disk) => this.#sizes[disk]! <= to);
    for (const [disk, digest] of ended) this.#digests.set(disk, digest);
  }

  /** The digests of the disks that were read whole. */
  wholes(): ReadonlyMap<number, string> {
    if (this.#wholes === undefined) return this.#digests;
    const left = this.#wholes.digests((disk) => !this.#lost.has(disk));
    return new Map([...this.#digests, ...left]);
  }

  /** Long zeros may be several pieces. All else ends at the end of a piece or before. */
  #hashPieces(
    {
      at,
      to,
      unitOf,
      bytes,
    }: {
      readonly at: number;
      readonly to: number;
      readonly unitOf: (disk: number) => Unit | undefined;
      readonly bytes: ReadonlyMap<Unit, Uint8Array>;
    },
    pieceBytes: number,
    onPiece: (piece: HashedPiece) => void,
  ): void {
    for (let from = at; from < to;) {
      const pieceAt = Math.floor(from / pieceBytes) * pieceBytes;
      const end = Math.min(to, pieceAt + pieceBytes);
      this.#pieces ??= new HashGroups([...this.#sizes.keys()], this.#options.newHasher);
      const partOf = (unit: Unit): HashedBytes =>
        bytes.get(unit) ?? { zeros: Math.min(unit.length, end - from) };
      this.#pieces.update(unitOf, partOf);
      const isEnd = end === pieceAt + pieceBytes;
      const ended = this.#pieces.digests((disk) => isEnd || this.#sizes[disk]! <= end);
      for (const [disk, digest] of ended) {
        const length = Math.min(this.#sizes[disk]!, end) - pieceAt;
        onPiece({ disk, at: pieceAt, length, digest });
      }
      if (isEnd) this.#pieces = undefined;
      from = end;
    }
  }
}
