/** A web server on 127.0.0.1 that serves one file in byte ranges, or misbehaves as it is told. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RangeServer {
  readonly url: string;
  /** The Range headers of the requests so far. */
  readonly ranges: (string | undefined)[];
  /** Their If-Match headers. */
  readonly conditions: (string | undefined)[];
  /** Bytes of bodies that were sent. */
  sentBytes(): number;
  close(): Promise<void>;
}

export interface Served {
  bytes: Uint8Array;
  etag?: string;
  lastModified?: string;
  /** Sent with every answer. */
  headers?: Readonly<Record<string, string>>;
  /** Answers every request with the whole file and status 200. */
  ignoresRanges?: boolean;
  /** Answers with this status and nothing else. */
  status?: number | undefined;
  /** Sends at most this many bytes of a range, and says so. */
  mostBytes?: number;
  /** Shifts every range that is sent by this many bytes. */
  shift?: number;
  /** Ends the connection in the middle of the body. */
  breaksOff?: boolean;
  /** How much it sends before that: one byte. */
  sentBytes?: number;
  /** Never answers. */
  isSilent?: boolean;
  /** Ends the connection without an answer. */
  resets?: boolean;
  /** Sends one byte of the body, and then nothing. */
  stalls?: boolean;
  /** Says that it sends this range, whatever it sends. */
  claims?: string;
  /** Answers to many ranges by one body with all of them, or what this makes of them. */
  parts?: (ranges: readonly Part[]) => readonly Part[];
  /** Answers to many ranges by the first of them; else, without `parts`, by the whole file. */
  sendsFirst?: boolean;
  /** Answers with 412 where an If-Match names another ETag. */
  heedsIfMatch?: boolean;
  /** So many requests are answered as `status`, `breaksOff`, `resets` and `stalls` say; then the server is well. */
  failures?: number;
}

/** From `first` up to `end`, and whether it says another size of the file. */
export interface Part {
  readonly first: number;
  readonly end: number;
  readonly sizeBytes?: number;
}

const WELL = { status: undefined, breaksOff: false, resets: false, stalls: false };

/** Serves what `served` says at the time of each request. */
export async function rangeServer(served: Served): Promise<RangeServer> {
  const ranges: (string | undefined)[] = [];
  const conditions: (string | undefined)[] = [];
  let sent = 0;
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    conditions.push(request.headers['if-match']);
    const isWell = served.failures === 0;
    if (served.failures !== undefined && !isWell) served.failures -= 1;
    sent += answerRange(isWell ? { ...served, ...WELL } : served, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/disk.qcow2`,
    ranges,
    conditions,
    sentBytes: () => sent,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

/** Sends the answer; how many bytes of body it has. */
export function answerRange(
  served: Served,
  request: IncomingMessage,
  response: ServerResponse,
): number {
  const { bytes, etag, lastModified } = served;
  for (const [name, value] of Object.entries(served.headers ?? {})) response.setHeader(name, value);
  if (etag !== undefined) response.setHeader('etag', etag);
  if (lastModified !== undefined) response.setHeader('last-modified', lastModified);
  if (served.isSilent === true) return 0;
  if (served.resets === true) {
    response.destroy();
    return 0;
  }
  const ifMatch = request.headers['if-match'];
  const isOther = served.heedsIfMatch === true && ifMatch !== undefined && ifMatch !== etag;
  const status = isOther ? 412 : served.status;
  if (status !== undefined) {
    response.writeHead(status).end();
    return 0;
  }
  const many = served.parts && rangesOf(request.headers.range ?? '');
  if (many !== undefined) return answerMany(served, served.parts!(many), response);
  const range = request.headers.range ?? '';
  const asked = served.sendsFirst === true ? range.replace(/,.*/, '') : range;
  const match = /^bytes=(\d+)-(\d+)$/.exec(asked);
  if (match === null || served.ignoresRanges === true) {
    response.writeHead(200, { 'content-length': bytes.length });
    response.end(bytes);
    return bytes.length;
  }
  const first = Number(match[1]) + (served.shift ?? 0);
  if (first >= bytes.length) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return 0;
  }
  const last = Math.min(Number(match[2]) + 1, bytes.length);
  const end = Math.min(last, first + (served.mostBytes ?? Infinity));
  const claimed = served.claims ?? `bytes ${first}-${end - 1}/${bytes.length}`;
  response.writeHead(206, { 'content-range': claimed, 'content-length': end - first });
  if (served.stalls === true) {
    response.write(bytes.subarray(first, first + 1));
    return 1;
  }
  if (served.breaksOff === true && end - first > 1) {
    const sent = bytes.subarray(first, Math.min(first + (served.sentBytes ?? 1), end));
    if (sent.length === end - first) response.end(sent);
    // What was written has left by then, or is lost with the connection.
    else response.write(sent, () => setTimeout(() => response.destroy(), 5));
    return sent.length;
  }
  response.end(bytes.subarray(first, end));
  return end - first;
}

function rangesOf(header: string): readonly Part[] | undefined {
  const ranges = header.replace('bytes=', '').split(',');
  if (ranges.length === 1) return undefined;
  return ranges.map((range) => {
    const [first, last] = range.split('-').map(Number);
    return { first: first!, end: last! + 1 };
  });
}

function answerMany(served: Served, parts: readonly Part[], response: ServerResponse): number {
  const { bytes } = served;
  const body = Buffer.concat([
    ...parts.flatMap(({ first, end, sizeBytes = bytes.length }) => [
      Buffer.from(`\r\n--PART\r\nContent-Range: bytes ${first}-${end - 1}/${sizeBytes}\r\n\r\n`),
      bytes.subarray(first, end),
    ]),
    Buffer.from('\r\n--PART--\r\n'),
  ]);
  const type = 'multipart/byteranges; boundary=PART';
  response.writeHead(206, { 'content-type': type, 'content-length': body.length });
  if (served.breaksOff !== true) {
    response.end(body);
    return body.length;
  }
  const sent = body.subarray(0, served.sentBytes ?? 1);
  response.write(sent, () => setTimeout(() => response.destroy(), 5));
  return sent.length;
}
