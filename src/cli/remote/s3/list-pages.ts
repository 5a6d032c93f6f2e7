import { QsnapError } from '../../../index.js';
import { printableText, type HttpResponse } from '../../../internal.js';
import { steadyFetch } from '../../../node/index.js';
import type { ListedObject } from '../listed-object.js';
import type { RemoteOptions } from '../remote-options.js';
import { bodyText } from './body-text.js';
import { s3Access, type S3Access } from './s3-access.js';
import { failureOf, s3Fetch } from './s3-fetch.js';
import { parseS3Location, type S3Location } from './s3-location.js';
import { elementsIn, parseXml, textIn } from '../../xml.js';

/** A page has 1,000 objects, with names of 1,024 bytes at most. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;

/** `listObjects`, page by page. */
export async function* listPages(
  location: string,
  options: RemoteOptions,
): AsyncGenerator<ListedObject> {
  const { bucket, key: prefix } = parseS3Location(location);
  const access = await s3Access(location, options.env ?? process.env);
  let token: string | undefined;
  do {
    const query = {
      // In the order of names, as signatures want it.
      ...(token !== undefined && { 'continuation-token': token }),
      ...{ 'encoding-type': 'url', 'list-type': '2', prefix },
    };
    const page = await pageOf({ bucket, key: '', query }, location, access, options);
    for (const { key, ...facts } of page.objects) {
      yield { location: `s3://${bucket}/${key}`, key, ...facts };
    }
    token = page.next;
  } while (token !== undefined);
}

interface Page {
  readonly objects: readonly Omit<ListedObject, 'location'>[];
  readonly next: string | undefined;
}

async function pageOf(
  request: S3Location & { readonly query: Readonly<Record<string, string>> },
  location: string,
  access: S3Access,
  options: RemoteOptions,
): Promise<Page> {
  const fail = (reason: string, cause?: unknown): never => {
    const message = `Can't list ${printableText(location)}: ${printableText(reason)}`;
    throw failureOf(new QsnapError('OPEN_FAILED', message, { file: location }, cause), access);
  };
  const { fetch, retry } = steadyFetch(s3Fetch(request, access, options), options);
  for (let failures = 1; ; failures += 1) {
    let response: HttpResponse | undefined;
    let error: unknown;
    try {
      response = await fetch(location, { headers: {} });
      if (response.status === 200) {
        return parsePage(await bodyText(response.body!, PAGE_BYTES_MAX));
      }
      await response.body?.cancel();
    } catch (caught) {
      error = caught;
    }
    const failed = error === undefined ? { response: response! } : { error };
    if (!(error instanceof PageError) && (await retry({ ...failed, failures, isOpen: true }))) {
      continue;
    }
    if (error !== undefined) return fail(reasonOf(error), error);
    const { status, reason } = response!;
    return fail(
      `the server answers with status ${status}${reason === undefined ? '' : `: ${reason}`}`,
    );
  }
}

class PageError extends Error {}

/** @throws PageError where it is no list. */
function parsePage(text: string): Page {
  try {
    const document = parseXml(text);
    if (document.documentElement?.localName !== 'ListBucketResult') {
      throw new PageError('the answer is no list of objects');
    }
    const isEscaped = textIn(document, 'EncodingType') === 'url';
    const isCut = textIn(document, 'IsTruncated') === 'true';
    const next = isCut ? textIn(document, 'NextContinuationToken') : undefined;
    if (isCut && next === undefined) throw new PageError('the list ends before its end');
    const objects = elementsIn(document, 'Contents').map((element) => {
      const part = (name: string): string => {
        const found = textIn(element, name);
        if (found === undefined) throw new PageError(`an object in the list has no ${name}`);
        return found;
      };
      const key = part('Key');
      return {
        key: isEscaped ? decodeURIComponent(key.replaceAll('+', ' ')) : key,
        sizeBytes: Number(part('Size')),
        etag: part('ETag'),
        lastModified: new Date(part('LastModified')),
      };
    });
    return { objects, next };
  } catch (error) {
    if (error instanceof PageError) throw error;
    throw new PageError(`the answer is no list of objects: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? inner.message : String(inner);
}
