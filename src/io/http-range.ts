/**
 * A file on a web server as a source, read in byte ranges. A server that doesn't serve ranges is
 * refused: the whole file is never downloaded.
 */
import { assert } from '../base/assert.js';
import { printableText } from '../base/text.js';
import { KiB, MiB } from '../base/units.js';
import { QsnapError } from '../errors.js';
import { readSpans, runInFlight, scatter } from './batch.js';
import type { Span, SpanLimits } from './batch.js';
import type { BlockSource, ReadRequest } from './device.js';

/** A request costs what some hundred kilobytes cost; buffers cost nothing. */
const HTTP_READ_LIMITS: SpanLimits = {
  gapBytes: 256 * KiB,
  spanBytes: 4 * MiB,
  buffers: Infinity,
};

/** As many as a browser opens to one server. */
const HTTP_CALLS_IN_FLIGHT = 6;

/** What is used of a fetch response; the global one fits. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: HttpBody | null;
}

export interface HttpBody {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(): Promise<void>;
  };
  cancel(): Promise<void>;
}

export type Fetch = (
  url: string,
  init: { readonly headers: Readonly<Record<string, string>> },
) => Promise<HttpResponse>;

export interface HttpOptions {
  /** Instead of the global `fetch`: for other transports and for tests. */
  readonly fetch?: Fetch;
  /** Sent with every request, such as an Authorization. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What tells one version of the file from another. */
interface Version {
  readonly sizeBytes: number;
  /** A strong ETag, else the Last-Modified date, else nothing. */
  readonly mark: string | undefined;
}

/**
 * Opens the file behind `url` with a request for its first byte, which tells its size.
 *
 * ```ts
 * const source = await httpSource('https://example.org/disk.qcow2', {
 *   headers: { Authorization: 'Bearer …' },
 * });
 * await using image = await openQcow(source);
 * ```
 *
 * @throws QsnapError OPEN_FAILED when there is no such file, the server can't be reached, or it
 *   doesn't serve byte ranges. Reads throw READ_FAILED, or IMAGE_CHANGED when the server has
 *   another version of the file than at the opening.
 * Spec: RFC 9110, Range Requests.
 */
export async function httpSource(url: string, options: HttpOptions = {}): Promise<BlockSource> {
  const source = new HttpSource(url, options);
  await source.open();
  return source;
}

class HttpSource implements BlockSource {
  readonly label: string;
  readonly #url: string;
  readonly #fetch: Fetch;
  readonly #headers: Readonly<Record<string, string>>;
  #version: Version | undefined;

  constructor(url: string, options: HttpOptions) {
    this.#url = url;
    // What follows the path may be a signature, which is not for messages.
    this.label = url.replace(/[?#].*$/su, '');
    const fetch: Fetch = options.fetch ?? globalThis.fetch;
    // Browsers let `fetch` be called on nothing but their window: it must not become a method here.
    this.#fetch = (input, init) => fetch(input, init);
    this.#headers = options.headers ?? {};
  }

  async open(): Promise<void> {
    let response: HttpResponse;
    try {
      response = await this.#request(0, 1);
    } catch (error) {
      throw this.#error('OPEN_FAILED', `Can't open ${this.#name}: ${reasonOf(error)}`, error);
    }
    await dismiss(response);
    const range = contentRange(response);
    // An empty file has no first byte: 416, with the size after the slash.
    const answered = response.status === 206 || (response.status === 416 && range?.sizeBytes === 0);
    if (answered && range?.sizeBytes !== undefined) {
      this.#version = { sizeBytes: range.sizeBytes, mark: markOf(response) };
      return;
    }
    const [reason, details] = unlikeRange(response);
    throw this.#error('OPEN_FAILED', `Can't open ${this.#name}: ${reason}`, undefined, details);
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#opened().sizeBytes);
  }

  async readBatch(requests: readonly ReadRequest[]): Promise<void> {
    this.#opened();
    const spans = readSpans(requests, HTTP_READ_LIMITS);
    await runInFlight(spans, HTTP_CALLS_IN_FLIGHT, (span) => this.#readSpan(span));
  }

  close(): Promise<void> {
    this.#version = undefined;
    return Promise.resolve();
  }

  get #name(): string {
    return printableText(this.label);
  }

  #opened(): Version {
    assert(this.#version !== undefined, 'a closed source is not used');
    return this.#version;
  }

  async #readSpan(span: Span): Promise<void> {
    const version = this.#opened();
    const end = Math.min(span.end, version.sizeBytes);
    const bytes = new Uint8Array(Math.max(0, end - span.at));
    // A server may send less than it was asked for.
    for (let have = 0; have < bytes.length;) {
      have += await this.#readPart(span.at + have, bytes.subarray(have), version);
    }
    scatter(span, bytes);
  }

  /** Fills the beginning of `into`; resolves to how much came, at least one byte. */
  async #readPart(at: number, into: Uint8Array, version: Version): Promise<number> {
    const doing = `read ${into.length} bytes of ${this.#name} at byte ${at}`;
    try {
      const response = await this.#request(at, at + into.length);
      await this.#refuseOther(response, at, version, doing);
      const count = await receive(response, into);
      if (count > 0) return count;
    } catch (error) {
      if (error instanceof QsnapError) throw error;
      throw this.#error('READ_FAILED', `Can't ${doing}: ${reasonOf(error)}`, error, { at });
    }
    throw this.#error('READ_FAILED', `Can't ${doing}: the server sent nothing`, undefined, { at });
  }

  async #refuseOther(
    response: HttpResponse,
    at: number,
    version: Version,
    doing: string,
  ): Promise<void> {
    const range = contentRange(response);
    let refusal: QsnapError | undefined;
    if (response.status === 206 || response.status === 416) {
      const sizeBytes = range?.sizeBytes ?? version.sizeBytes;
      if (sizeBytes !== version.sizeBytes || markOf(response) !== version.mark) {
        const message = `${this.#name} was changed on the server while it was read`;
        refusal = this.#error('IMAGE_CHANGED', message);
      }
    }
    if (refusal === undefined && (response.status !== 206 || range?.first !== at)) {
      const answer = `the server answers with status ${response.status} and another range`;
      refusal = this.#error('READ_FAILED', `Can't ${doing}: ${answer}`, undefined, { at });
    }
    if (refusal === undefined) return;
    await dismiss(response);
    throw refusal;
  }

  #request(at: number, end: number): Promise<HttpResponse> {
    const headers = { ...this.#headers, Range: `bytes=${at}-${end - 1}` };
    return this.#fetch(this.#url, { headers });
  }

  #error(
    code: 'OPEN_FAILED' | 'READ_FAILED' | 'IMAGE_CHANGED',
    message: string,
    cause?: unknown,
    details: { readonly at?: number; readonly hint?: string } = {},
  ): QsnapError {
    return new QsnapError(code, message, { file: this.label, ...details }, cause);
  }
}

/** Why an answer to the first request can't be used, and what to do about it. */
function unlikeRange({ status }: HttpResponse): readonly [string, { readonly hint?: string }] {
  if (status >= 400) return [`the server answers with status ${status}`, {}];
  if (status === 206) {
    const headers = 'Access-Control-Expose-Headers: Content-Range, ETag';
    const hint = `a server of another origin has to expose it: ${headers}`;
    return ['the answer has no Content-Range that can be read', { hint }];
  }
  const reason = 'the server does not serve parts of files (byte ranges), and all of it';
  return [`${reason} is not downloaded`, {}];
}

/** A strong ETag, or else the date. A weak tag may stay while bytes change. */
function markOf(response: HttpResponse): string | undefined {
  const tag = response.headers.get('etag');
  if (tag?.startsWith('"') === true) return tag;
  return response.headers.get('last-modified') ?? undefined;
}

interface ContentRange {
  readonly first: number | undefined;
  readonly sizeBytes: number | undefined;
}

/** `bytes 0-99/1234`, or `bytes *` + `/1234` where nothing is sent; the size may be `*`. */
function contentRange(response: HttpResponse): ContentRange | undefined {
  const text = response.headers.get('content-range') ?? '';
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/i.exec(text.trim());
  if (match === null) return undefined;
  return { first: exactNumber(match[1]), sizeBytes: exactNumber(match[2]) };
}

function exactNumber(digits: string | undefined): number | undefined {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : undefined;
}

/**
 * Copies the body into `into`. A full one is read to its end, so that the connection serves the
 * next request; one that goes on is cut off.
 */
async function receive(response: HttpResponse, into: Uint8Array): Promise<number> {
  if (response.body === null) return 0;
  const reader = response.body.getReader();
  let count = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return count;
    const bytes = value ?? new Uint8Array(0);
    const room = into.length - count;
    into.set(bytes.subarray(0, room), count);
    count += Math.min(bytes.length, room);
    if (bytes.length > room) {
      await reader.cancel();
      return count;
    }
  }
}

/** Ends a response whose body nobody wants, before it is downloaded. */
async function dismiss(response: HttpResponse): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

function reasonOf(error: unknown): string {
  // fetch hides what happened in the cause of "fetch failed".
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? inner.message : String(inner);
}
