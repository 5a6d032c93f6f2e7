/**
 * Requests by Node's own client for HTTP, which takes half of the time that its `fetch` takes for a range; and by kept
 * connections, which take a quarter of that, for ranges of what has answered with a range before.
 */
import { get, globalAgent, type IncomingMessage } from 'node:http';
import { get as getSecurely, globalAgent as secureAgent } from 'node:https';
import type { HttpBody, HttpResponse } from '../../io/http-answer.js';
import type { Fetch } from '../../io/http-range.js';
import { NotUnderstood, type KeptAnswer } from './kept-connection.js';
import { askKept } from './kept-connections.js';

/** How answers are followed. */
export interface NodeFetchOptions {
  /** How many redirects in a row are followed: 5. */
  readonly redirects?: number;
}

/**
 * A `fetch` for `httpSource`. Connections are kept for the whole process. A redirect to another server is not told the
 * Authorization, and none leads from https to http.
 *
 * ```ts
 * const source = await httpSource('https://example.org/disk.qcow2', { fetch: nodeFetch() });
 * ```
 */
export function nodeFetch({ redirects = 5 }: NodeFetchOptions = {}): Fetch {
  /** Addresses whose server has answered with a range itself. */
  const known = new Set<string>();
  return async (address, init) => {
    let url = new URL(address);
    let headers: Fields = { 'accept-encoding': 'identity', ...init.headers };
    if (known.has(address)) {
      const answer = await keptAnswerOf(url, headers, init.signal);
      if (answer !== undefined) return responseOfKept(answer);
    }
    for (let left = redirects; ; left -= 1) {
      const message = await answerOf(url, headers, init.signal);
      const next = left > 0 ? redirectOf(message, url) : undefined;
      if (next === undefined) {
        const isRange = message.statusCode === 206 && left === redirects;
        if (isRange && isDirect(message, url)) known.add(address);
        return responseOf(message);
      }
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

async function keptAnswerOf(
  url: URL,
  headers: Fields,
  signal: AbortSignal | undefined,
): Promise<KeptAnswer | undefined> {
  try {
    return await askKept(url, headers, signal);
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}

function responseOfKept(answer: KeptAnswer): HttpResponse {
  const drain: KeptAnswer['drain'] = (take) => answer.drain(take);
  const end = (): Promise<void> => {
    answer.cancel();
    return Promise.resolve();
  };
  /** All at once: answers are as long as was asked for, or texts of failures. */
  async function* whole(): AsyncGenerator<Uint8Array, undefined> {
    const pieces: Uint8Array[] = [];
    await drain((bytes) => {
      pieces.push(Uint8Array.from(bytes));
    });
    yield Buffer.concat(pieces);
  }
  return {
    status: answer.status,
    headers: { get: (name) => answer.fields.get(name) ?? null },
    body: { getReader: () => readerOf(whole(), end), drain, cancel: end },
  };
}

/** Whether no proxy is between, which Node or the program's own agents may have set up. */
function isDirect({ socket }: IncomingMessage, { protocol, port }: URL): boolean {
  const [agent, usual] = protocol === 'https:' ? [secureAgent, 443] : [globalAgent, 80];
  const { options } = agent as { readonly options?: { readonly proxyEnv?: unknown } };
  return (
    options?.proxyEnv === undefined && socket.remotePort === (port === '' ? usual : Number(port))
  );
}

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
  const pieces = (): AsyncIterator<Uint8Array, undefined> =>
    message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
  return { getReader: () => readerOf(pieces(), cancel), cancel };
}

function readerOf(
  pieces: AsyncIterator<Uint8Array, undefined>,
  cancel: () => Promise<void>,
): ReturnType<HttpBody['getReader']> {
  return {
    async read() {
      const { done, value } = await pieces.next();
      return { done: done === true, value };
    },
    cancel,
  };
}
