/** Status and fields of an HTTP/1.1 answer, for bodies whose length is told. RFC 9112 has the format. */

/** What comes in front of a body. */
export interface AnswerHead {
  readonly status: number;
  /** Values by names in small letters. */
  readonly fields: ReadonlyMap<string, string>;
  readonly bodyBytes: number;
  /** Whether the server ends the connection behind the body. */
  readonly closes: boolean;
}

/** Texts of failures are no longer than this; what is, is read by others. */
const REASON_BYTES_MAX = 64 * 1024;

/**
 * @param text up to the empty line, which is left out.
 * @returns undefined for whatever is not plain: another version, a body without a length or in chunks, a redirect, fields
 *   that are told twice or go over several lines.
 */
export function parseAnswerHead(text: string): AnswerHead | undefined {
  const [first, ...lines] = text.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first!)?.[1]);
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) return undefined;
    const key = name.toLowerCase();
    if (fields.has(key) && ONCE.has(key)) return undefined;
    fields.set(key, fields.has(key) ? `${fields.get(key)}, ${value}` : value!);
  }
  // The server is asked again later, and its text has no reader.
  if (isPassing(status)) return { status, fields, bodyBytes: 0, closes: true };
  const length = fields.get('content-length') ?? '';
  if (!/^\d{1,15}$/.test(length) || fields.has('transfer-encoding')) return undefined;
  const bodyBytes = Number(length);
  const isReason = status >= 400 && bodyBytes <= REASON_BYTES_MAX;
  if (status !== 200 && status !== 206 && !isReason) return undefined;
  const closes = /\bclose\b/i.test(fields.get('connection') ?? '');
  return { status, fields, bodyBytes, closes };
}

/** A failure of the server or of those in front of it, that may pass. */
const isPassing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

const ONCE: ReadonlySet<string> = new Set([
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
]);
