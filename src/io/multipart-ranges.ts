/** Answers that carry several byte ranges of a file: `multipart/byteranges`. Spec: RFC 9110, 14.6; RFC 2046, 5.1. */
import { parseContentRange, type ContentRange, type HttpResponse } from './http-answer.js';

const LF = 10;

/** Lines in front of a part that are put up with, in bytes. */
const LINES_MAX = 4096;

/** The line that parts are told apart by; undefined: the answer has no parts. */
export function boundaryOf({ status, headers }: HttpResponse): string | undefined {
  if (status !== 206) return undefined;
  const type = headers.get('content-type') ?? '';
  const match =
    /^multipart\/byteranges\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s";]{1,70})(?![^\s;]))/i;
  const [, quoted, plain] = match.exec(type) ?? [];
  return quoted ?? plain;
}

/** Whoever wants the parts. */
export interface PartTaker {
  /** Memory for a part, as long as its range; undefined: it is not wanted, and nothing behind it. */
  begin(range: ContentRange): Uint8Array | undefined;
  /** The part that was begun is there to its last byte. */
  end(): void;
}

/**
 * Takes a body in pieces of any length and hands on its parts. How long a part is, its Content-Range says: a boundary is not
 * looked for in the data.
 */
export class MultipartRanges {
  readonly #boundary: string;
  readonly #taker: PartTaker;
  /** What came of the lines before the next part. */
  #lines = '';
  #into: Uint8Array = new Uint8Array(0);
  #filled = 0;
  #isFirst = true;
  /** The closing boundary came, or a part that makes no sense. */
  #isOver = false;

  constructor(boundary: string, taker: PartTaker) {
    this.#boundary = `--${boundary}`;
    this.#taker = taker;
  }

  take(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length && !this.#isOver;) {
      from += this.#filled < this.#into.length ? this.#data(bytes, from) : this.#line(bytes, from);
    }
  }

  /** @returns how many bytes were taken. */
  #data(bytes: Uint8Array, from: number): number {
    const there = bytes.subarray(from, from + this.#into.length - this.#filled);
    this.#into.set(there, this.#filled);
    this.#filled += there.length;
    if (this.#filled === this.#into.length) this.#taker.end();
    return there.length;
  }

  #line(bytes: Uint8Array, from: number): number {
    let to = from;
    while (to < bytes.length && !this.#isOver) {
      const byte = bytes[to]!;
      to += 1;
      this.#lines += String.fromCharCode(byte);
      if (byte === LF && this.#lines.endsWith('\r\n\r\n')) {
        this.#begin(this.#rangeIn(this.#lines.slice(0, -4)));
        break;
      }
      this.#isOver = this.#lines.length > LINES_MAX;
    }
    return to - from;
  }

  #begin(range: ContentRange | undefined): void {
    const into = range && this.#taker.begin(range);
    if (into === undefined) this.#isOver = true;
    else this.#into = into;
    this.#lines = '';
    this.#filled = 0;
    this.#isFirst = false;
  }

  /** The range of the part whose lines these are; undefined: there is none. */
  #rangeIn(lines: string): ContentRange | undefined {
    const [delimiter, ...fields] = this.#linesOfPart(lines);
    if (delimiter?.trimEnd() !== this.#boundary) return undefined;
    const values = fields.flatMap((line) => /^content-range:(.*)$/i.exec(line)?.[1] ?? []);
    return values.length === 1 ? parseContentRange(values[0]!) : undefined;
  }

  /** Behind the data of a part comes the end of its last line; before the first part anything may come. */
  #linesOfPart(lines: string): readonly string[] {
    const all = lines.split('\r\n');
    if (!this.#isFirst) return all[0] === '' ? all.slice(1) : [];
    const first = all.findIndex((line) => line.trimEnd() === this.#boundary);
    return first === -1 ? [] : all.slice(first);
  }
}
