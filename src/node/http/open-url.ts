import { printableText } from '../../base/text.js';
import { isQsnapError, QsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import { httpSource, type Fetch } from '../../io/http-range.js';
import { urlLabel } from '../../io/url-label.js';
import { nodeFetch } from './node-fetch.js';
import { steadyFetch, type SteadyOptions } from './steady-fetch.js';

/** How a file on a server is opened. */
export interface OpenUrlOptions extends SteadyOptions {
  /** Sent with every request, such as an Authorization. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of `nodeFetch`. */
  readonly fetch?: Fetch;
}

/**
 * `httpSource` for programs that run long: what fails and may pass is tried again, up to six times, with growing delays or
 * when the server says (Retry-After, up to a minute). A body that breaks off is gone on with where it broke off. A server
 * that sends nothing for 30 seconds has failed. A name and password in the address are sent as an Authorization.
 *
 * ```ts
 * const source = await openUrl('https://example.org/disk.qcow2');
 * const { findings } = await checkImage(source);
 * await source.close();
 * ```
 *
 * @throws QsnapError OPEN_FAILED; reads throw READ_FAILED when it is enough, and IMAGE_CHANGED.
 */
export async function openUrl(url: string, options: OpenUrlOptions = {}): Promise<BlockSource> {
  const { address, headers } = parted(url);
  const fetch: Fetch = options.fetch ?? nodeFetch();
  try {
    return await httpSource(address, {
      ...steadyFetch(fetch, options),
      headers: { ...headers, ...options.headers },
      requestsInFlight: REQUESTS_IN_FLIGHT,
      rangesPerRequest: RANGES_PER_REQUEST,
    });
  } catch (error) {
    throw hinted(error);
  }
}

/** The address without a name and password, which `fetch` takes no address with. */
function parted(url: string): { address: string; headers: Readonly<Record<string, string>> } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    const shown = printableText(urlLabel(url));
    throw new QsnapError('OPEN_FAILED', `Can't open ${shown}: it is no http or https address`);
  }
  const { username, password } = parsed;
  if (username === '' && password === '') return { address: url, headers: {} };
  parsed.username = parsed.password = '';
  const words = [username, password].map(decoded).join(':');
  const credentials = Buffer.from(words).toString('base64');
  return { address: parsed.href, headers: { Authorization: `Basic ${credentials}` } };
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    // A `%` that begins no escape stands for itself.
    return word;
  }
}

/** A server is mostly far away: what it takes is time, and not work. */
const REQUESTS_IN_FLIGHT = 16;

/** So many are less than what servers refuse (Apache: over 200), and fit into the longest line that all take. */
const RANGES_PER_REQUEST = 16;

const HINTS: Readonly<Record<number, string>> = {
  401: 'the server wants a name and a password, or a signed address',
  403: 'the server lets nobody read it without the right to; a signed address may have expired',
  404: 'the server has no file of that address',
  410: 'the server has no file of that address any more',
  429: 'the server gets too many requests: try again later',
  503: 'the server is too busy: try again later',
};

function hinted(error: unknown): unknown {
  if (!isQsnapError(error) || error.details.hint !== undefined) return error;
  const status = Number(/^status (\d+)$/.exec(error.details.actual ?? '')?.[1]);
  const hint = HINTS[status];
  return hint === undefined ? error : error.with({ hint });
}
