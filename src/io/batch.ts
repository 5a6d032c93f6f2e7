/**
 * Batches made into few large calls: sorts requests, merges neighbours, splits what is too large,
 * and keeps several calls in flight. Pure but for `runInFlight`, which awaits what it is given.
 */
import { assert } from '../base/assert.js';
import { KiB, MiB } from '../base/units.js';
import type { ByteRange, ReadRequest, WriteRequest } from './device.js';
import { settled } from './settled.js';

/** How requests are merged. What is best depends on what a call costs. */
export interface SpanLimits {
  /** Bytes nobody asked for that are read along, rather than making another call. */
  readonly gapBytes: number;
  /** A span is never longer than this; a longer request is split. */
  readonly spanBytes: number;
  /** Buffers in a span, gaps included. */
  readonly buffers: number;
}

/** Linux takes 1,024 buffers in one vectored call (IOV_MAX). */
const MAX_BUFFERS = 1024;

/** For files: a gap is copied from the page cache in less time than another call takes. */
export const FILE_READ_LIMITS: SpanLimits = {
  gapBytes: 32 * KiB,
  spanBytes: 4 * MiB,
  buffers: MAX_BUFFERS,
};

/** Nothing but what was asked for is ever written. */
export const FILE_WRITE_LIMITS: SpanLimits = {
  gapBytes: 0,
  spanBytes: 4 * MiB,
  buffers: MAX_BUFFERS,
};

/** Calls in flight for one file: what Node's thread pool runs at a time, if it was not told otherwise. */
export const FILE_CALLS_IN_FLIGHT = 4;

/** A piece of the caller's memory and where in the file it belongs. */
export interface SpanPart {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** One call: everything from `at` to `end`. */
export interface Span {
  readonly at: number;
  readonly end: number;
  /** Ascending by `at`; no empty ones. Between two of them may lie a gap. */
  readonly parts: readonly SpanPart[];
  /** Whether two parts ask for the same bytes; then memory and file don't line up. */
  readonly overlaps: boolean;
}

/** A part as it grows: memory that continues the part before is added to it. */
interface OpenPart {
  readonly at: number;
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  length: number;
}

interface OpenSpan {
  readonly at: number;
  end: number;
  readonly parts: OpenPart[];
  buffers: number;
  overlaps: boolean;
}

/** The spans that fill all of these requests, in order of place but for overlapping ones. */
export function readSpans(requests: readonly ReadRequest[], limits: SpanLimits): Span[] {
  return spansOf(
    requests.map(({ at, into }) => ({ at, bytes: into })),
    limits,
  );
}

/**
 * The spans that write all of these requests, ascending.
 *
 * @throws QsnapError INTERNAL when two requests write the same byte.
 */
export function writeSpans(requests: readonly WriteRequest[], limits: SpanLimits): Span[] {
  const spans = spansOf(requests, { ...limits, gapBytes: 0 });
  let end = 0;
  for (const span of spans) {
    assert(!span.overlaps && span.at >= end, 'the writes of one batch do not overlap');
    end = span.end;
  }
  return spans;
}

function spansOf(pieces: readonly SpanPart[], limits: SpanLimits): Span[] {
  const spans: OpenSpan[] = [];
  let last: OpenSpan | undefined;
  for (const piece of ascending(pieces)) {
    for (const part of split(piece, limits.spanBytes)) {
      if (last === undefined || !add(last, part, limits)) {
        const { buffer, byteOffset, length } = part.bytes;
        const parts = [{ at: part.at, buffer, byteOffset, length }];
        last = { at: part.at, end: part.at + length, parts, buffers: 1, overlaps: false };
        spans.push(last);
      }
    }
  }
  return spans.map(({ at, end, parts, overlaps }) => ({
    at,
    end,
    parts: parts.map((part) => ({
      at: part.at,
      bytes: new Uint8Array(part.buffer, part.byteOffset, part.length),
    })),
    overlaps,
  }));
}

/** Sorted by place; most callers ask in order already, and then nothing is copied. */
function ascending(pieces: readonly SpanPart[]): readonly SpanPart[] {
  for (let i = 1; i < pieces.length; i += 1) {
    if (pieces[i]!.at < pieces[i - 1]!.at) return [...pieces].sort((a, b) => a.at - b.at);
  }
  return pieces;
}

function split(piece: SpanPart, spanBytes: number): readonly SpanPart[] {
  const { at, bytes } = piece;
  if (bytes.length === 0) return [];
  if (bytes.length <= spanBytes) return [piece];
  const parts: SpanPart[] = [];
  for (let from = 0; from < bytes.length; from += spanBytes) {
    parts.push({ at: at + from, bytes: bytes.subarray(from, from + spanBytes) });
  }
  return parts;
}

/** Adds `part` to the span if it is near enough and fits. */
function add(span: OpenSpan, part: SpanPart, limits: SpanLimits): boolean {
  const { at, bytes } = part;
  const gap = at - span.end;
  const end = Math.max(span.end, at + bytes.length);
  // It begins before the span when a longer one that began earlier was split.
  if (at < span.at || gap > limits.gapBytes || end - span.at > limits.spanBytes) return false;
  const before = span.parts.at(-1)!;
  if (gap === 0 && before.at + before.length === at && continuesInMemory(before, bytes)) {
    before.length += bytes.length;
    span.end = end;
    return true;
  }
  const buffers = span.buffers + (gap > 0 ? 2 : 1);
  if (buffers > limits.buffers) return false;
  const { buffer, byteOffset, length } = bytes;
  span.parts.push({ at, buffer, byteOffset, length });
  span.buffers = buffers;
  span.overlaps ||= gap < 0;
  span.end = end;
  return true;
}

function continuesInMemory(before: OpenPart, bytes: Uint8Array): boolean {
  return before.buffer === bytes.buffer && before.byteOffset + before.length === bytes.byteOffset;
}

/**
 * The memory of a span without overlaps as one list of buffers, with a piece of `waste` for each
 * gap. Several gaps share that memory: nobody looks at it.
 */
export function buffersOf(span: Span, waste: Uint8Array): Uint8Array[] {
  const buffers: Uint8Array[] = [];
  let end = span.at;
  for (const { at, bytes } of span.parts) {
    if (at > end) buffers.push(waste.subarray(0, at - end));
    buffers.push(bytes);
    end = at + bytes.length;
  }
  return buffers;
}

/** Copies what belongs to each part from `bytes`, which begin where the span does; then zeros. */
export function scatter(span: Span, bytes: Uint8Array): void {
  for (const part of span.parts) {
    const from = part.at - span.at;
    const there = bytes.subarray(from, from + part.bytes.length);
    part.bytes.set(there);
    part.bytes.fill(0, there.length);
  }
}

/** What is left of `buffers` after the first `count` bytes of them. */
export function withoutFirst(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  let index = 0;
  while (index < buffers.length && skip >= buffers[index]!.length) {
    skip -= buffers[index]!.length;
    index += 1;
  }
  const rest = buffers.slice(index);
  if (skip > 0) rest[0] = rest[0]!.subarray(skip);
  return rest;
}

/** The same bytes in as few ranges as possible, ascending; ranges that touch become one. */
export function mergedRanges(ranges: readonly ByteRange[]): ByteRange[] {
  const merged: { at: number; length: number }[] = [];
  for (const { at, length } of [...ranges].sort((a, b) => a.at - b.at)) {
    if (length === 0) continue;
    const last = merged.at(-1);
    if (last !== undefined && at <= last.at + last.length) {
      last.length = Math.max(last.length, at + length - last.at);
    } else {
      merged.push({ at, length });
    }
  }
  return merged;
}

/**
 * Runs `work` on every item, at most `limit` at a time, in order of start. After a failure nothing
 * new is started; what runs is waited for, so that nothing goes on behind the caller's back.
 *
 * @throws the first failure.
 */
export async function runInFlight<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  if (items.length === 1) {
    await work(items[0]!);
    return;
  }
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const item = items[next]!;
      next += 1;
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = Array.from({ length: Math.min(limit, items.length) }, lane);
  await settled(lanes);
}
