/** Answers to requests for byte ranges: what of them can be taken as data. */
import { printableText } from '../base/text.js';

/** What is used of a fetch response; the global one fits. */
export interface HttpResponse {
  readonly status: number;
  /** `cors` in a page of another origin, where a browser lets no other headers go unasked. */
  readonly type?: string;
  readonly headers: { get(name: string): string | null };
  /** Why the status is what it is, where a transport knows. */
  readonly reason?: string;
  readonly body: HttpBody | null;
}

export interface HttpBody {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(): Promise<void>;
  };
  /**
   * Where a transport has it: hands over the whole body in pieces, which are its own memory and used again after the call.
   * An error of `take` ends the transfer.
   */
  drain?(take: (bytes: Uint8Array) => void): Promise<void>;
  cancel(): Promise<void>;
}

/** What is wrong with an answer, and what to do about it. */
export type Oddness = readonly [reason: string, hint?: string];

export const NO_RANGE: Oddness = [
  'the answer has no Content-Range that can be read',
  'a server of another origin has to expose it: Access-Control-Expose-Headers: Content-Range, ETag',
];

/** Why an answer is not the beginning of the bytes that were asked for, or all of them; undefined: it is. */
export function oddnessOf(
  response: HttpResponse,
  range: ContentRange | undefined,
  at: number,
  end: number,
): Oddness | undefined {
  const { status, headers } = response;
  if (status >= 300) {
    const why = response.reason === undefined ? '' : `: ${printableText(response.reason)}`;
    return [`the server answers with status ${status}${why}`];
  }
  if (status !== 206) {
    const reason = 'the server does not serve parts of files (byte ranges), and all of it';
    return [`${reason} is not downloaded`];
  }
  const encoding = headers.get('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    return [`the server packs what it sends (Content-Encoding: ${printableText(encoding)})`];
  }
  if (range?.end === undefined) return NO_RANGE;
  const isPart = range.first === at && range.end > at && range.end <= end;
  return isPart ? undefined : ['the server answers with another range'];
}

/** A strong ETag, or else the date. A weak tag may stay while bytes change. */
export function markOf(response: HttpResponse): string | undefined {
  const tag = response.headers.get('etag');
  if (tag?.startsWith('"') === true) return tag;
  return response.headers.get('last-modified') ?? undefined;
}

/** What a Content-Range says; `end` is behind the last byte. */
export interface ContentRange {
  readonly first: number | undefined;
  readonly end: number | undefined;
  readonly sizeBytes: number | undefined;
}

/** `bytes 0-99/1234`, or `bytes *` + `/1234` where nothing is sent; the size may be `*`. */
export function contentRange(response: HttpResponse): ContentRange | undefined {
  return parseContentRange(response.headers.get('content-range') ?? '');
}

export function parseContentRange(text: string): ContentRange | undefined {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/i.exec(text.trim());
  if (match === null) return undefined;
  const [first, last, sizeBytes] = match.slice(1).map(exactNumber);
  return { first, end: last === undefined ? undefined : last + 1, sizeBytes };
}

function exactNumber(digits: string | undefined): number | undefined {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : undefined;
}

export const TOO_LONG = new Error('the server sends more than it says');
const TOO_SHORT = new Error('the connection was closed before everything was sent');

/**
 * Copies the body into `into`, and reads it to its end, so that the connection serves the next request. Resolves to what
 * came before an error.
 */
export async function receive(
  { body }: HttpResponse,
  into: Uint8Array,
): Promise<{ readonly count: number; readonly error?: unknown }> {
  let count = 0;
  try {
    await drain(body, (bytes) => {
      if (bytes.length > into.length - count) throw TOO_LONG;
      into.set(bytes, count);
      count += bytes.length;
    });
    return count < into.length ? { count, error: TOO_SHORT } : { count };
  } catch (error) {
    return { count, error };
  }
}

/** Hands over the body in pieces, which `take` must not keep. What `take` throws ends it. */
export async function drain(
  body: HttpBody | null,
  take: (bytes: Uint8Array) => void,
): Promise<void> {
  if (body === null) return;
  if (body.drain !== undefined) return body.drain(take);
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    try {
      take(value ?? new Uint8Array(0));
    } catch (error) {
      await reader.cancel().catch(() => undefined);
      throw error;
    }
  }
}

/** Ends a response whose body nobody wants, before it is downloaded. */
export async function dismiss(response: HttpResponse): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

export function reasonOf(error: unknown): string {
  // fetch hides what happened in the cause of "fetch failed".
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? inner.message : String(inner);
}
