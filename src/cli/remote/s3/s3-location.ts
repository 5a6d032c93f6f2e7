import { QsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';

/** What `s3://BUCKET/KEY` names. The key is taken as it is: nothing in it is escaped, and `?` is a part of it. */
export interface S3Location {
  readonly bucket: string;
  /** Of an object, or how the keys of several begin. */
  readonly key: string;
}

/** @throws QsnapError OPEN_FAILED. */
export function parseS3Location(location: string): S3Location {
  const [, bucket, key = ''] = /^s3:\/\/([A-Za-z0-9._-]+)(?:\/(.*))?$/isu.exec(location) ?? [];
  if (bucket === undefined) return refused(location, 'it has no name of a bucket');
  if (!key.isWellFormed()) return refused(location, 'the key is not valid Unicode');
  // In the path of an address these are steps up and down.
  if (key.split('/').some((step) => step === '.' || step === '..')) {
    return refused(location, 'no address can name a key with a step "." or ".." in it');
  }
  return { bucket, key };
}

function refused(location: string, reason: string): never {
  throw new QsnapError('OPEN_FAILED', `Can't open ${printableText(location)}: ${reason}`, {
    file: location,
    expected: 's3://BUCKET/KEY',
  });
}
