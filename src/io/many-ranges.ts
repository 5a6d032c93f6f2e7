/** Many byte ranges by one request: a server far away is asked seldom, and one that is near has less to do. */
import { MiB } from '../base/units.js';
import { scatter, type Span } from './batch.js';
import { dismiss, drain, type ContentRange, type HttpResponse } from './http-answer.js';
import { boundaryOf, MultipartRanges } from './multipart-ranges.js';

/** What is long is worth a request of its own, and comes over several connections at once. */
const TOGETHER_BYTES = MiB;

/** Neighbours that are asked for together: at most `most` of them, and few bytes. */
export function groupsOf(spans: readonly Span[], most: number): readonly (readonly Span[])[] {
  const groups: Span[][] = [];
  let bytes = 0;
  for (const span of spans) {
    const last = groups.at(-1);
    bytes += span.end - span.at;
    if (last !== undefined && last.length < most && bytes <= TOGETHER_BYTES) last.push(span);
    else {
      groups.push([span]);
      bytes = span.end - span.at;
    }
  }
  return groups;
}

/** How such a request went. */
export interface Together {
  /** Spans that did not come: they are asked for alone, and what is wrong is told there. */
  readonly left: readonly Span[];
  /** Whether the server serves many ranges at once; undefined: the answer does not tell. */
  readonly isServed: boolean | undefined;
}

/**
 * Reads spans by one request.
 *
 * @param spans none of them reaches behind the end of the file.
 * @param isSame whether an answer or a part is of the version that is read.
 */
export async function readTogether(
  spans: readonly Span[],
  ask: (range: string) => Promise<HttpResponse>,
  isSame: (response: HttpResponse, range: ContentRange | undefined) => boolean,
): Promise<Together> {
  const left = new Map(spans.map((span) => [span.at, span]));
  let isServed: boolean | undefined;
  try {
    const response = await ask(spans.map(({ at, end }) => `${at}-${end - 1}`).join(','));
    const boundary = boundaryOf(response);
    if (boundary === undefined || !isSame(response, undefined)) {
      if (response.status === 200 || response.status === 206) isServed = boundary !== undefined;
      await dismiss(response);
      return { left: spans, isServed };
    }
    isServed = true;
    const parts = new MultipartRanges(
      boundary,
      takerOf(left, (range) => isSame(response, range)),
    );
    await drain(response.body, (bytes) => {
      parts.take(bytes);
    });
  } catch {
    // Whether it passes, who asks for the rest finds out.
  }
  return { left: [...left.values()], isServed };
}

/** Takes spans out of `left` as they come. A server may send them in another order, or merge some, which are then left. */
function takerOf(
  left: Map<number, Span>,
  isSame: (range: ContentRange) => boolean,
): ConstructorParameters<typeof MultipartRanges>[1] {
  let span: Span | undefined;
  let bytes: Uint8Array;
  return {
    begin(range) {
      span = left.get(range.first ?? -1);
      if (span === undefined || range.end !== span.end || !isSame(range)) return undefined;
      bytes = memoryOf(span);
      return bytes;
    },
    end() {
      left.delete(span!.at);
      deliver(span!, bytes);
    },
  };
}

/** Where the bytes of a span go first: to their place, where that is one. */
export function memoryOf({ at, end, parts }: Span): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only!.bytes.length === end - at
    ? only!.bytes
    : new Uint8Array(end - at);
}

/** Copies the bytes of a span from there to their places. */
export function deliver(span: Span, bytes: Uint8Array): void {
  if (bytes !== span.parts[0]!.bytes) scatter(span, bytes);
}
