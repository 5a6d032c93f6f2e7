/**
 * A file on a web server as a source, read in byte ranges. A server that doesn't serve ranges is
 * refused: the whole file is never downloaded.
 */
import { assert } from '../base/assert.js';
import { printableText } from '../base/text.js';
import { KiB, MiB } from '../base/units.js';
import { QsnapError, type ErrorDetails } from '../errors.js';
import { readSpans, runInFlight, scatter } from './batch.js';
import type { Span, SpanLimits } from './batch.js';
import type { BlockSource, ReadRequest } from './device.js';
import {
  contentRange,
  dismiss,
  markOf,
  NO_RANGE,
  oddnessOf,
  reasonOf,
  receive,
  TOO_LONG,
  type ContentRange,
  type HttpResponse,
  type Oddness,
} from './http-answer.js';
import { deliver, groupsOf, memoryOf, readTogether } from './many-ranges.js';
import { urlLabel } from './url-label.js';

/** A request costs what some hundred kilobytes cost; buffers cost nothing. */
const HTTP_READ_LIMITS: SpanLimits = {
  gapBytes: 256 * KiB,
  spanBytes: 4 * MiB,
  buffers: Infinity,
};

/** As many as a browser opens to one server. */
const REQUESTS_IN_FLIGHT = 6;

/** The opening brings so much of the beginning: the header area of an image with default clusters. */
const HEAD_BYTES = 64 * KiB;

/** A try that brought so much before it broke off is not counted with those before it. */
const PROGRESS_BYTES = 64 * KiB;

export type Fetch = (
  url: string,
  init: { readonly headers: Readonly<Record<string, string>>; readonly signal?: AbortSignal },
) => Promise<HttpResponse>;

/** A try that failed: by its answer, or by an error where none came or it broke off. */
export interface FailedTry {
  /** Tries for these bytes that failed in a row, with this one. */
  readonly failures: number;
  /** Whether the file was opened already. */
  readonly isOpen: boolean;
  readonly response?: Pick<HttpResponse, 'status' | 'headers'>;
  readonly error?: unknown;
}

export interface HttpOptions {
  /** Instead of the global `fetch`: for other transports and for tests. */
  readonly fetch?: Fetch;
  /** Sent with every request, such as an Authorization. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Requests that are sent before the first of them is answered: 6. */
  readonly requestsInFlight?: number;
  /**
   * Ranges that are asked for by one request, where the server serves many of them: 1. In a page, a server of another origin
   * has to allow each such request.
   */
  readonly rangesPerRequest?: number;
  /** Resolves to whether to try again, when it is time to. Without it nothing is tried twice. */
  readonly retry?: (failed: FailedTry) => Promise<boolean>;
}

/** The file as it was at the opening. */
interface Version {
  readonly sizeBytes: number;
  /** A strong ETag, else the Last-Modified date, else nothing. */
  readonly mark: string | undefined;
  /** Headers that let the server refuse to send bytes of another version. */
  readonly condition: Readonly<Record<string, string>>;
  /** The first bytes; all of a file that is no longer. */
  readonly head: Uint8Array;
}

/**
 * Opens the file behind `url` with a request for its beginning, which tells its size and is kept: what lies there is not
 * asked for again.
 *
 * ```ts
 * const source = await httpSource('https://example.org/disk.qcow2', {
 *   headers: { Authorization: 'Bearer …' },
 * });
 * await using image = await openQcow(source);
 * ```
 *
 * All answers have to be of the version that was opened: of the same size, and with the same strong ETag or else date. A
 * strong ETag goes along with each request (If-Match). A date does not (If-Unmodified-Since): the answer has it anyway.
 *
 * @throws QsnapError OPEN_FAILED when there is no such file, the server can't be reached, or it
 *   doesn't serve byte ranges. Reads throw READ_FAILED, or IMAGE_CHANGED when the server has
 *   another version of the file than at the opening.
 * Spec: RFC 9110, Range Requests and Conditional Requests.
 */
export async function httpSource(url: string, options: HttpOptions = {}): Promise<BlockSource> {
  const source = new HttpSource(url, options);
  await source.open();
  return source;
}

class HttpSource implements BlockSource {
  readonly label: string;
  readonly #url: string;
  readonly #options: HttpOptions;
  readonly #fetch: Fetch;
  #version: Version | undefined;
  /** Whether the server serves many ranges by one answer; undefined: it was not asked yet. */
  #servesMany: boolean | undefined;

  constructor(url: string, options: HttpOptions) {
    this.#url = url;
    this.#options = options;
    this.label = urlLabel(url);
    const fetch: Fetch = options.fetch ?? globalThis.fetch;
    // Browsers let `fetch` be called on nothing but their window: it must not become a method here.
    this.#fetch = (input, init) => fetch(input, init);
  }

  async open(): Promise<void> {
    const doing = `open ${this.#name}`;
    let response: HttpResponse;
    try {
      response = await this.#ask(0, HEAD_BYTES, { failures: 0 });
    } catch (error) {
      if (error instanceof QsnapError) throw error;
      throw this.#error('OPEN_FAILED', `Can't ${doing}: ${reasonOf(error)}`, error);
    }
    const range = contentRange(response);
    const isEmpty = isOfEmptyFile(response, range);
    const odd = isEmpty ? undefined : oddnessOf(response, range, 0, HEAD_BYTES);
    if (odd !== undefined) await this.#refuse(response, 'OPEN_FAILED', doing, odd);
    const sizeBytes = isEmpty ? 0 : range?.sizeBytes;
    if (sizeBytes === undefined) return this.#refuse(response, 'OPEN_FAILED', doing, NO_RANGE);
    const bytes = new Uint8Array(isEmpty ? 0 : range!.end!);
    const { count, error } = await receive(response, bytes);
    if (error === TOO_LONG) throw this.#error('OPEN_FAILED', `Can't ${doing}: ${TOO_LONG.message}`);
    const mark = markOf(response);
    const isStrong = mark !== undefined && mark.startsWith('"') && response.type !== 'cors';
    const condition: Version['condition'] = isStrong ? { 'If-Match': mark } : {};
    this.#version = { sizeBytes, mark, condition, head: bytes.subarray(0, count) };
  }

  get version(): string | undefined {
    const { sizeBytes, mark } = this.#opened();
    return mark === undefined ? undefined : `${sizeBytes}:${mark}`;
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#opened().sizeBytes);
  }

  async readBatch(requests: readonly ReadRequest[]): Promise<void> {
    const { head, sizeBytes } = this.#opened();
    const elsewhere = requests.filter(({ at, into }) => {
      const end = Math.min(at + into.length, sizeBytes);
      if (at < end && end > head.length) return true;
      const known = head.subarray(at, end);
      into.set(known);
      into.fill(0, known.length);
      return false;
    });
    const inFlight = this.#options.requestsInFlight ?? REQUESTS_IN_FLIGHT;
    const spans = readSpans(elsewhere, HTTP_READ_LIMITS).flatMap((span) => inFile(span, sizeBytes));
    const most = this.#servesMany === false ? 1 : (this.#options.rangesPerRequest ?? 1);
    const groups = groupsOf(spans, most);
    // Where it is not known whether the server serves many, one group finds out.
    const asks = this.#servesMany === undefined && most > 1 ? 1 : 0;
    await runInFlight(groups.slice(0, asks), 1, (group) => this.#readGroup(group));
    await runInFlight(groups.slice(asks), inFlight, (group) => this.#readGroup(group));
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

  async #readGroup(group: readonly Span[]): Promise<void> {
    let alone = group;
    if (group.length > 1 && this.#servesMany !== false) {
      const version = this.#opened();
      const { left, isServed } = await readTogether(
        group,
        (range) => this.#fetch(this.#url, { headers: this.#headers(range) }),
        (response, range) => !isOther(response, range, version),
      );
      alone = left;
      this.#servesMany = isServed ?? this.#servesMany;
    }
    for (const span of alone) await this.#readSpan(span);
  }

  async #readSpan(span: Span): Promise<void> {
    const version = this.#opened();
    const bytes = memoryOf(span);
    const tries = { failures: 0 };
    // A server may send less than it was asked for, and a body may break off.
    for (let have = 0; have < bytes.length;) {
      have += await this.#readPart(span.at + have, bytes.subarray(have), version, tries);
    }
    deliver(span, bytes);
  }

  /** Fills the beginning of `into`; resolves to how much came, which is nothing only where to try again. */
  async #readPart(
    at: number,
    into: Uint8Array,
    version: Version,
    tries: { failures: number },
  ): Promise<number> {
    const doing = `read ${into.length} bytes of ${this.#name} at byte ${at}`;
    let reason: unknown;
    try {
      const end = at + into.length;
      const response = await this.#ask(at, end, tries);
      const range = contentRange(response);
      if (isOther(response, range, version)) {
        await dismiss(response);
        const message = `${this.#name} was changed on the server while it was read`;
        throw this.#error('IMAGE_CHANGED', message);
      }
      const odd = oddnessOf(response, range, at, end);
      if (odd !== undefined) await this.#refuse(response, 'READ_FAILED', doing, odd, at);
      const { count, error } = await receive(response, into.subarray(0, range!.end! - at));
      if (error === undefined) return count;
      if (count >= PROGRESS_BYTES) tries.failures = 0;
      if (error !== TOO_LONG && (await this.#mayRetry(tries, { error }))) return count;
      reason = error;
    } catch (error) {
      if (error instanceof QsnapError) throw error;
      reason = error;
    }
    throw this.#error('READ_FAILED', `Can't ${doing}: ${reasonOf(reason)}`, reason, { at });
  }

  /** Asks for a range until an answer comes that is none of a failure, or `retry` gives up. */
  async #ask(at: number, end: number, tries: { failures: number }): Promise<HttpResponse> {
    const headers = this.#headers(`${at}-${end - 1}`);
    for (;;) {
      try {
        const response = await this.#fetch(this.#url, { headers });
        const { status } = response;
        if (status < 400 || status === 412 || status === 416) return response;
        if (!(await this.#mayRetry(tries, { response }))) return response;
        await dismiss(response);
      } catch (error) {
        if (!(await this.#mayRetry(tries, { error }))) throw error;
      }
    }
  }

  #headers(range: string): Readonly<Record<string, string>> {
    return { ...this.#options.headers, ...this.#version?.condition, Range: `bytes=${range}` };
  }

  async #mayRetry(
    tries: { failures: number },
    failed: Pick<FailedTry, 'response' | 'error'>,
  ): Promise<boolean> {
    const { retry } = this.#options;
    tries.failures += 1;
    const isOpen = this.#version !== undefined;
    return retry !== undefined && retry({ ...failed, ...tries, isOpen });
  }

  async #refuse(
    response: HttpResponse,
    code: 'OPEN_FAILED' | 'READ_FAILED',
    doing: string,
    [reason, hint]: Oddness,
    at?: number,
  ): Promise<never> {
    await dismiss(response);
    throw this.#error(code, `Can't ${doing}: ${reason}`, undefined, {
      ...(at !== undefined && { at }),
      expected: 'status 206',
      actual: `status ${response.status}`,
      ...(hint !== undefined && { hint }),
    });
  }

  #error(
    code: 'OPEN_FAILED' | 'READ_FAILED' | 'IMAGE_CHANGED',
    message: string,
    cause?: unknown,
    details: ErrorDetails = {},
  ): QsnapError {
    return new QsnapError(code, message, { file: this.label, ...details }, cause);
  }
}

/** What of a span lies in the file; behind its end are zeros. */
function inFile(span: Span, sizeBytes: number): readonly Span[] {
  if (span.at < sizeBytes) return [{ ...span, end: Math.min(span.end, sizeBytes) }];
  scatter(span, new Uint8Array(0));
  return [];
}

/** An empty file has no first byte: 416, with the size after the slash. nginx sends all of it, which is nothing. */
function isOfEmptyFile(
  { status, headers }: HttpResponse,
  range: ContentRange | undefined,
): boolean {
  if (status === 416) return range?.sizeBytes === 0;
  return status === 200 && headers.get('content-length') === '0';
}

/** Whether the server tells of another version than the one that was opened. */
function isOther(
  response: HttpResponse,
  range: ContentRange | undefined,
  { sizeBytes, mark, condition }: Version,
): boolean {
  const { status } = response;
  if (status === 412) return 'If-Match' in condition;
  if (status !== 206 && status !== 416) return false;
  return (range?.sizeBytes ?? sizeBytes) !== sizeBytes || markOf(response) !== mark;
}
