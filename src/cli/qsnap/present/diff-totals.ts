import { type DiffKind, type DiffRange, type Snapshot } from '../../../index.js';

/** What the ranges of a diff come to. */
export class DiffTotals {
  readonly bytes: Record<DiffKind, number> = {
    data: 0,
    zeroed: 0,
    unmapped: 0,
    'same-content': 0,
  };
  /** Ranges that differ. */
  rangeCount = 0;

  add(ranges: readonly DiffRange[]): void {
    for (const { kind, length } of ranges) {
      this.bytes[kind] += length;
      if (kind !== 'same-content') this.rangeCount += 1;
    }
  }

  get differentBytes(): number {
    const { data, zeroed, unmapped } = this.bytes;
    return data + zeroed + unmapped;
  }
}

/** The two disks, and what was found. */
export interface DiffFacts {
  readonly path: string;
  readonly disks: readonly [a: DiffSide, b: DiffSide];
  readonly totals: DiffTotals;
  readonly patch: PatchFacts | undefined;
}

/** One of the two disks. */
export interface DiffSide {
  readonly snapshot: Snapshot | undefined;
  readonly sizeBytes: number;
}

/** A patch that was written. */
export interface PatchFacts {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  /** Of a raw one: the file that says what of it is to be copied. */
  readonly map: string | undefined;
  /** Of an overlay: the name that it has for its backing file. */
  readonly backingFile: string | undefined;
  readonly dataBytes: number;
  readonly zeroBytes: number;
}

/** Whether two disks are the same: of one size, and without a range that differs. */
export function isSame({ disks, totals }: DiffFacts): boolean {
  return totals.rangeCount === 0 && disks[0].sizeBytes === disks[1].sizeBytes;
}

/** The ranges without what lies past the end of a disk. */
export function upTo(ranges: readonly DiffRange[], diskBytes: number): readonly DiffRange[] {
  return ranges
    .filter(({ start }) => start < diskBytes)
    .map(({ start, length, kind }) => ({
      start,
      length: Math.min(length, diskBytes - start),
      kind,
    }));
}
