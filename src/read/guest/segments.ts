import type { ExtentKind } from './disk.js';
import { cutOff, PAST_THE_END } from './wrong-entry.js';

/** What a table says of a stretch of guest bytes, before backing files and holes are looked at. */
export type SegmentKind = Exclude<ExtentKind, 'preallocated' | 'backing'>;

/** Guest bytes that an image keeps in one way and in one place. */
export interface Segment {
  readonly kind: SegmentKind;
  readonly start: number;
  readonly length: number;
  /** Host offset of the first byte; NOWHERE for zeros without a cluster and for unallocated ones. */
  readonly at: number;
  /** Bytes of whole sectors that a compressed cluster may cover from the sector of `at`; else 0. */
  readonly sectorBytes: number;
  /** Of an `unreadable` segment. */
  readonly reason: string | undefined;
}

/** What a list does with data that the file ends before. */
export interface SegmentRules {
  /** Whether neighbouring compressed clusters are one segment that lies nowhere. */
  readonly joinCompressed: boolean;
  /** Where the file ends that data lies in; Infinity where what lies behind it counts as zeros. */
  readonly dataEnd: number;
  /** Whether such data becomes an `unreadable` segment instead of an error. */
  readonly goesOn: boolean;
}

/** The `at` of what lies in no file. */
export const NOWHERE = -1;

interface OpenRun {
  kind: SegmentKind;
  start: number;
  length: number;
  at: number;
  sectorBytes: number;
  reason: string | undefined;
}

/**
 * Takes stretches in ascending order, cuts them to a range, and joins those that go on in the same
 * way and place.
 */
export class SegmentList {
  readonly #rules: SegmentRules;
  #segments: OpenRun[] = [];
  #from = 0;
  #to = 0;

  constructor(rules: SegmentRules) {
    this.#rules = rules;
  }

  get length(): number {
    return this.#segments.length;
  }

  /** What is added from now on is cut to this range. */
  within(from: number, to: number): void {
    this.#from = from;
    this.#to = to;
  }

  /** @throws QsnapError IMAGE_TRUNCATED for data behind the end of the file; what is before it is added. */
  add(kind: SegmentKind, start: number, length: number, at: number): void {
    const first = Math.max(start, this.#from);
    const end = Math.min(start + length, this.#to);
    if (end <= first) return;
    const place = at === NOWHERE ? NOWHERE : at + first - start;
    const { dataEnd } = this.#rules;
    if (kind === 'data' && place + end - first > dataEnd) this.#addCutOff(first, end, place);
    else this.#append(kind, first, end - first, place);
  }

  /** Guest bytes that nobody can read; they are cut to the range as all others. */
  addUnreadable(start: number, length: number, reason: string): void {
    const first = Math.max(start, this.#from);
    const end = Math.min(start + length, this.#to);
    if (end > first) this.#append('unreadable', first, end - first, NOWHERE, reason);
  }

  #addCutOff(first: number, end: number, place: number): void {
    const { dataEnd, goesOn } = this.#rules;
    const inFile = Math.max(0, dataEnd - place);
    if (inFile > 0) this.#append('data', first, inFile, place);
    const from = first + inFile;
    if (!goesOn) throw cutOff('data cluster', place, from, end);
    this.#append('unreadable', from, end - from, NOWHERE, PAST_THE_END);
  }

  /** One compressed cluster; it is cut as a guest range, and what is packed stays whole. */
  addCompressed(start: number, length: number, at: number, sectorBytes: number): void {
    const first = Math.max(start, this.#from);
    const end = Math.min(start + length, this.#to);
    if (end <= first) return;
    if (this.#rules.joinCompressed) this.#append('compressed', first, end - first, NOWHERE);
    else {
      const segment = { kind: 'compressed', start: first, length: end - first } as const;
      this.#segments.push({ ...segment, at, sectorBytes, reason: undefined });
    }
  }

  #append(kind: SegmentKind, start: number, length: number, at: number, reason?: string): void {
    const last = this.#segments.at(-1);
    const goesOn =
      last?.kind === kind &&
      last.reason === reason &&
      last.start + last.length === start &&
      (at === NOWHERE ? last.at === NOWHERE : last.at !== NOWHERE && last.at + last.length === at);
    if (goesOn) last.length += length;
    else this.#segments.push({ kind, start, length, at, sectorBytes: 0, reason });
  }

  /** All segments but the last `kept`, which may still grow. */
  take(kept: 0 | 1): readonly Segment[] {
    const end = Math.max(0, this.#segments.length - kept);
    return this.#segments.splice(0, end);
  }
}
