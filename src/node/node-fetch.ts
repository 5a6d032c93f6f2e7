/** Requests by Node's own client for HTTP, which takes half of the time that its `fetch` takes for a range. */
import { get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import type { HttpBody, HttpResponse } from '../io/http-answer.js';
import type { Fetch } from '../io/http-range.js';

/** How answers are followed. */
export interface NodeFetchOptions {
  /** How many redirects in a row are followed: 5. */
  readonly redirects?: number;
}

/**
 * A `fetch` for `httpSource`. Connections are kept, by Node's agents for the whole process. A redirect to another server is not told the Authorization, and
 * none leads from https to http.
 *
 * ```ts
 * const source = await httpSource('https://example.org/disk.qcow2', { fetch: nodeFetch() });
 * ```
 */
export function nodeFetch({ redirects = 5 }: NodeFetchOptions = {}): Fetch {
  return async (address, init) => {
    let url = new URL(address);
    let headers: Fields = { 'accept-encoding': 'identity', ...init.headers };
    for (let left = redirects; ; left -= 1) {
      const message = await answerOf(url, headers, init.signal);
      const next = left > 0 ? redirectOf(message, url) : undefined;
      if (next === undefined) return responseOf(message);
      message.destroy();
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new Error('the server redirects from https to http');
      }
      if (next.origin !== url.origin) headers = withoutSecrets(headers);
      url = next;
    }
  };
}

type Fields = Readonly<Record<string, string>>;

function answerOf(
  url: URL,
  headers: Fields,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { headers, ...(signal !== undefined && { signal }) };
    const ask = url.protocol === 'https:' ? getSecurely : get;
    const request = ask(url, options, resolve);
    // Also of a body that breaks off, whose reader is told by the body itself.
    request.on('error', reject);
  });
}

const REDIRECTS: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308]);

function redirectOf({ statusCode, headers }: IncomingMessage, from: URL): URL | undefined {
  const { location } = headers;
  if (!REDIRECTS.has(statusCode) || location === undefined) return undefined;
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) ? url : undefined;
}

function withoutSecrets(headers: Fields): Fields {
  const secret = /^(authorization|cookie|proxy-authorization)$/i;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !secret.test(name)));
}

function responseOf(message: IncomingMessage): HttpResponse {
  return {
    status: message.statusCode!,
    headers: {
      get: (name) => {
        const value = message.headers[name];
        return (Array.isArray(value) ? value.join(', ') : value) ?? null;
      },
    },
    body: bodyOf(message),
  };
}

function bodyOf(message: IncomingMessage): HttpBody {
  const cancel = (): Promise<void> => {
    message.destroy();
    return Promise.resolve();
  };
  return {
    getReader() {
      const parts = message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
      const read = async (): ReturnType<ReturnType<HttpBody['getReader']>['read']> => {
        const { done, value } = await parts.next();
        return { done: done === true, value };
      };
      return { read, cancel };
    },
    cancel,
  };
}
