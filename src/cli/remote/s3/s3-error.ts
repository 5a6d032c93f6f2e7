import { parseXml, textIn } from '../../xml.js';

/** What a server of objects says of a failure. */
export interface S3Error {
  /** Such as `NoSuchKey`. */
  readonly code: string;
  readonly message: string;
  /** Where the bucket is, if the request went elsewhere. */
  readonly region: string | undefined;
}

/** @returns undefined where the answer is none of such a server. */
export function parseS3Error(text: string): S3Error | undefined {
  try {
    const document = parseXml(text);
    const code = textIn(document, 'Code');
    if (code === undefined || code === '') return undefined;
    return { code, message: textIn(document, 'Message') ?? '', region: textIn(document, 'Region') };
  } catch {
    return undefined;
  }
}

/** What to do about a failure. `{origin}`: where the keys are from. */
const HINTS: Readonly<Record<string, string>> = {
  AccessDenied: '{origin}',
  AuthorizationHeaderMalformed: 'AWS_REGION names the region of the bucket; {origin}',
  ExpiredToken: 'the keys were for a time, which is over; {origin}',
  InvalidAccessKeyId: 'this server knows no such key; {origin}',
  NoSuchBucket: 'AWS_ENDPOINT_URL_S3 names another server than that of Amazon',
  NoSuchKey: 'the name has to be whole, as a list of the bucket shows it',
  PermanentRedirect: 'AWS_REGION names the region of the bucket',
  RequestTimeTooSkewed: 'the clock of this machine is wrong',
  SignatureDoesNotMatch: 'the secret key is not that of the access key; {origin}',
};

export function hintFor(code: string, origin: string): string | undefined {
  return HINTS[code]?.replace('{origin}', origin);
}
