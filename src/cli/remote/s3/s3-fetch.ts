/** Requests to servers of objects: addressed, signed, and sent once more where a bucket is in another region. */
import { AwsV4Signer } from 'aws4fetch';
import { isQsnapError } from '../../../index.js';
import { nodeFetch } from '../../../node/index.js';
import type { Fetch, HttpResponse } from '../../../internal.js';
import type { RemoteOptions } from '../remote-options.js';
import { bodyText } from './body-text.js';
import type { S3Access } from './s3-access.js';
import { hintFor, parseS3Error, type S3Error } from './s3-error.js';
import type { S3Location } from './s3-location.js';

/** What is asked for. */
export interface S3Request extends S3Location {
  readonly query: Readonly<Record<string, string>>;
}

/** The longest text of an error that is looked at. */
const ERROR_BYTES_MAX = 64 * 1024;

/** A `fetch` of one object or list, whatever address it is called with. */
export function s3Fetch(request: S3Request, access: S3Access, options: RemoteOptions): Fetch {
  const { now = () => new Date() } = options;
  const fetch: Fetch = options.fetch ?? nodeFetch({ redirects: 0 });
  const keysOfDays = new Map<string, ArrayBuffer>();
  let { region } = access;
  const send: Fetch = async (_, init) => {
    const url = addressOf(request, access.endpoint, region);
    if (access.keys === undefined) return fetch(url, init);
    const signer = new AwsV4Signer({
      ...{ url, method: 'GET', service: 's3', region, cache: keysOfDays },
      accessKeyId: access.keys.accessKeyId,
      secretAccessKey: access.keys.secretAccessKey,
      ...(access.keys.sessionToken !== undefined && { sessionToken: access.keys.sessionToken }),
      headers: { ...init.headers },
      datetime: now()
        .toISOString()
        .replace(/[:-]|\.\d{3}/g, ''),
    });
    const { headers } = await signer.sign();
    return fetch(url, { ...init, headers: Object.fromEntries(headers.entries()) });
  };
  return async (url, init) => {
    const response = await send(url, init);
    const { other, answer } = await explained(response, region);
    if (other === undefined) return answer;
    region = other;
    return (await explained(await send(url, init), region)).answer;
  };
}

/** Statuses that say all, or that are tried again. */
const PLAIN: ReadonlySet<number> = new Set([200, 206, 412, 416, 429, 500, 502, 503, 504]);

/** The answer with what its text says of a failure, and the region where to ask instead. */
async function explained(
  response: HttpResponse,
  region: string,
): Promise<{ readonly answer: HttpResponse; readonly other: string | undefined }> {
  const { status, headers, body } = response;
  if (PLAIN.has(status) || body === null) {
    return { answer: asFailure(response, undefined), other: regionIn(headers, undefined, region) };
  }
  const error = parseS3Error(await bodyText(body, ERROR_BYTES_MAX).catch(() => ''));
  const answer = asFailure({ status, headers, body: null }, error);
  return { answer, other: regionIn(headers, error, region) };
}

function asFailure(response: HttpResponse, error: S3Error | undefined): HttpResponse {
  if (error === undefined) return response;
  // A redirect has no address to go to, only this text: to the caller it is a failure.
  const status = response.status < 400 ? 400 : response.status;
  const { headers, body } = response;
  return { status, headers, body, reason: `${error.code}: ${error.message}` };
}

function regionIn(
  headers: HttpResponse['headers'],
  error: S3Error | undefined,
  region: string,
): string | undefined {
  const isElsewhere =
    error !== undefined &&
    /^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/.test(
      error.code,
    );
  const named = headers.get('x-amz-bucket-region') ?? error?.region;
  if (!isElsewhere || named === undefined || named === region) return undefined;
  return /^[a-z0-9-]+$/.test(named) ? named : undefined;
}

/** Path style at an endpoint that is given, and for names that no certificate covers; else by host. */
function addressOf(
  { bucket, key, query }: S3Request,
  endpoint: string | undefined,
  region: string,
): string {
  const path = key.split('/').map(escaped).join('/');
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const server = endpoint?.replace(/\/+$/, '') ?? `https://s3.${region}.${domain}`;
  const byPath = endpoint !== undefined || !/^[a-z0-9-]+$/.test(bucket);
  const place = byPath ? `${server}/${bucket}` : `https://${bucket}.s3.${region}.${domain}`;
  const words = Object.entries(query).map(([name, value]) => `${name}=${escaped(value)}`);
  return `${place}/${path}${words.length > 0 ? `?${words.join('&')}` : ''}`;
}

/** All but what RFC 3986 leaves as it is anywhere, as signatures want it. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => {
    return `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

/** The error with what to do about it, where the server gave a code. */
export function failureOf(error: unknown, access: S3Access): unknown {
  if (!isQsnapError(error) || error.details.hint !== undefined) return error;
  const code = /answers with status \d+: (\w+):/.exec(error.message)?.[1];
  const isUnsigned =
    access.keys === undefined && /answers with status 40[013]$/.test(error.message);
  const hint = code === undefined ? undefined : hintFor(code, access.origin);
  if (hint === undefined && isUnsigned) return error.with({ hint: access.origin });
  return hint === undefined ? error : error.with({ hint });
}
