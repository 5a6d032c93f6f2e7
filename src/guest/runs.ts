import type { ExtentKind } from './disk.js';

/** What a table says of a stretch of guest bytes, before backing files and holes are looked at. */
export type RunKind = Exclude<ExtentKind, 'preallocated' | 'backing'>;

/** Guest bytes that an image keeps in one way and in one place. */
export interface Run {
  readonly kind: RunKind;
  readonly start: number;
  readonly length: number;
  /** Host offset of the first byte; NOWHERE for zeros without a cluster and for unallocated ones. */
  readonly at: number;
  /** Bytes of whole sectors that a compressed cluster may cover from the sector of `at`; else 0. */
  readonly sectorBytes: number;
}

/** The `at` of what lies in no file. */
export const NOWHERE = -1;

interface OpenRun {
  kind: RunKind;
  start: number;
  length: number;
  at: number;
  sectorBytes: number;
}

/**
 * Takes stretches in ascending order, cuts them to a range, and joins those that go on in the same
 * way and place.
 */
export class RunList {
  readonly #joinCompressed: boolean;
  #runs: OpenRun[] = [];
  #from = 0;
  #to = 0;

  /** @param joinCompressed whether neighbouring compressed clusters are one run that lies nowhere. */
  constructor(joinCompressed: boolean) {
    this.#joinCompressed = joinCompressed;
  }

  get length(): number {
    return this.#runs.length;
  }

  /** What is added from now on is cut to this range. */
  within(from: number, to: number): void {
    this.#from = from;
    this.#to = to;
  }

  add(kind: RunKind, start: number, length: number, at: number): void {
    const first = Math.max(start, this.#from);
    const end = Math.min(start + length, this.#to);
    if (end <= first) return;
    this.#append(kind, first, end - first, at === NOWHERE ? NOWHERE : at + first - start, 0);
  }

  /** One compressed cluster; it is cut as a guest range, and what is packed stays whole. */
  addCompressed(start: number, length: number, at: number, sectorBytes: number): void {
    const first = Math.max(start, this.#from);
    const end = Math.min(start + length, this.#to);
    if (end <= first) return;
    if (this.#joinCompressed) this.#append('compressed', first, end - first, NOWHERE, 0);
    else
      this.#runs.push({ kind: 'compressed', start: first, length: end - first, at, sectorBytes });
  }

  #append(kind: RunKind, start: number, length: number, at: number, sectorBytes: number): void {
    const last = this.#runs.at(-1);
    const goesOn =
      last?.kind === kind &&
      last.start + last.length === start &&
      (at === NOWHERE ? last.at === NOWHERE : last.at !== NOWHERE && last.at + last.length === at);
    if (goesOn) last.length += length;
    else this.#runs.push({ kind, start, length, at, sectorBytes });
  }

  /** All runs but the last `kept`, which may still grow. */
  take(kept: 0 | 1): readonly Run[] {
    const end = Math.max(0, this.#runs.length - kept);
    return this.#runs.splice(0, end);
  }
}
