/** A `fetch` for servers and networks that fail now and then: what waits for them, how long, and when it is enough. */
import { setTimeout as timeout } from 'node:timers/promises';
import { isQsnapError } from '../../errors.js';
import type { HttpBody, HttpResponse } from '../../io/http-answer.js';
import type { FailedTry, Fetch, HttpOptions } from '../../io/http-range.js';

/** How much is put up with. */
export interface SteadyOptions {
  /** Tries for the same bytes, the first one included: 6. */
  readonly tries?: number;
  /** After so many milliseconds without a byte a try has failed: 30,000. */
  readonly stallMs?: number;
  /** Waits between tries; for tests. */
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
  /** From 0 up to 1: spreads the tries of many programs that failed together. Without it they are not spread. */
  readonly random?: () => number;
}

const TRIES = 6;
const STALL_MS = 30_000;
const FIRST_DELAY_MS = 250;
const DELAY_MAX_MS = 8_000;
/** A server that asks for more (Retry-After) is not waited for. */
const RETRY_AFTER_MAX_MS = 60_000;

/** Too many requests, and failures of servers and of those in front of them. */
const PASSING_STATUS: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Where a first connection ends so, a second may not; one that is refused, or whose host is unknown, will be again. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_SOCKET',
]);

/**
 * The options of `httpSource` for a source that waits and tries again, as `openUrl` does.
 *
 * ```ts
 * const source = await httpSource('https://example.org/disk.qcow2', steadyFetch(fetch));
 * ```
 */
export function steadyFetch(
  fetch: Fetch,
  options: SteadyOptions = {},
): Required<Pick<HttpOptions, 'fetch' | 'retry'>> {
  const { tries = TRIES, stallMs = STALL_MS, sleep = timeout, random = () => 1 } = options;
  return {
    fetch: watched(fetch, stallMs),
    retry: async (failed) => {
      if (failed.failures >= tries || !mayPass(failed)) return false;
      const asked = retryAfterMs(failed) ?? 0;
      if (asked > RETRY_AFTER_MAX_MS) return false;
      const delay = Math.min(FIRST_DELAY_MS * 2 ** (failed.failures - 1), DELAY_MAX_MS);
      await sleep(Math.max(asked, delay * (0.5 + random() / 2)));
      return true;
    },
  };
}

function mayPass({ isOpen, response, error }: FailedTry): boolean {
  if (response !== undefined) return PASSING_STATUS.has(response.status);
  if (isQsnapError(error)) return false;
  return isOpen || error instanceof StallError || PASSING_CODES.has(codeOf(error));
}

function codeOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return String((inner as { readonly code?: unknown } | undefined)?.code);
}

/** Seconds or a date, which is as far away as the server's own clock says. Spec: RFC 9110, 10.2.3. */
function retryAfterMs({ response }: FailedTry): number | undefined {
  const text = response?.headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const wait = Date.parse(text) - Date.parse(response?.headers.get('date') ?? '');
  return wait >= 0 ? wait : undefined;
}

class StallError extends Error {}

/** The same, but an answer of which nothing comes for a while ends with an error. */
function watched(fetch: Fetch, stallMs: number): Fetch {
  return async (url, init) => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      const seconds = stallMs / 1000;
      controller.abort(new StallError(`nothing came from the server for ${seconds} seconds`));
    }, stallMs);
    const { signal } = controller;
    const orStalled = (error: unknown): unknown => (signal.aborted ? signal.reason : error);
    try {
      const response = await fetch(url, { ...init, signal });
      const { body } = response;
      if (body === null) clearTimeout(timer);
      return {
        status: response.status,
        ...(response.type !== undefined && { type: response.type }),
        headers: response.headers,
        ...(response.reason !== undefined && { reason: response.reason }),
        body: body && watchedBody(body, timer, orStalled),
      } satisfies HttpResponse;
    } catch (error) {
      clearTimeout(timer);
      throw orStalled(error);
    }
  };
}

function watchedBody(
  body: HttpBody,
  timer: NodeJS.Timeout,
  orStalled: (error: unknown) => unknown,
): HttpBody {
  const ended =
    (cancel: () => Promise<void>): (() => Promise<void>) =>
    () => {
      clearTimeout(timer);
      return cancel();
    };
  return {
    getReader() {
      const reader = body.getReader();
      return {
        async read() {
          try {
            const part = await reader.read();
            if (part.done) clearTimeout(timer);
            else timer.refresh();
            return part;
          } catch (error) {
            clearTimeout(timer);
            throw orStalled(error);
          }
        },
        cancel: ended(() => reader.cancel()),
      };
    },
    ...(body.drain !== undefined && {
      async drain(take: (bytes: Uint8Array) => void): Promise<void> {
        try {
          await body.drain!((bytes) => {
            timer.refresh();
            take(bytes);
          });
        } catch (error) {
          throw orStalled(error);
        } finally {
          clearTimeout(timer);
        }
      },
    }),
    cancel: ended(() => body.cancel()),
  };
}
