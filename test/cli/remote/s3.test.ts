/** S3 without a server: who asks, where, and what becomes of the answers. test/outside/swift.test.ts has a real one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Fetch } from '../../../src/io/http-range.js';
import { listObjects } from '../../../src/cli/remote/list-objects.js';
import type { ListedObject } from '../../../src/cli/remote/listed-object.js';
import { openSource } from '../../../src/cli/remote/open-source.js';
import { s3Access } from '../../../src/cli/remote/s3/s3-access.js';
import { temporaryDirectory } from '../../support/directories.js';

const KEYS = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 'hidden' };
const now = (): Date => new Date('2026-11-22T14:03:12.345Z');

/** A home with what the two files say. */
function home(files: { credentials?: string; config?: string }): { HOME: string } {
  const folder = temporaryDirectory();
  mkdirSync(join(folder, '.aws'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, '.aws', name), text);
  return { HOME: folder };
}

const NOBODY = home({});

interface Asked {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A transport that answers as told, in turn, and notes what it was asked. */
function answering(
  ...answers: readonly { status: number; headers?: Record<string, string>; text?: string }[]
): { fetch: Fetch; asked: Asked[] } {
  const asked: Asked[] = [];
  const fetch: Fetch = (url, { headers }) => {
    asked.push({ url, headers });
    const {
      status,
      headers: own = {},
      text,
    } = answers[Math.min(asked.length, answers.length) - 1]!;
    const response = new Response(text ?? null, { status: Math.max(status, 200), headers: own });
    return Promise.resolve({ status, headers: response.headers, body: response.body });
  };
  return { fetch, asked };
}

const errorText = (code: string, more = ''): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said so</Message>${more}</Error>`;

const OPENED = {
  status: 206,
  headers: { 'content-range': 'bytes 0-3/4', etag: '"e"' },
  text: 'QFIx',
};

type Keys = readonly [
  what: string,
  env: Readonly<Record<string, string>>,
  files: Parameters<typeof home>[0],
  id: string | undefined,
  token: string | undefined,
  region: string,
];

test.each<Keys>([
  ['variables', { ...KEYS, AWS_SESSION_TOKEN: 't' }, {}, 'AKID', 't', 'us-east-1'],
  [
    'variables without values',
    { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
    {},
    undefined,
    undefined,
    'us-east-1',
  ],
  [
    'a region of variables',
    { ...KEYS, AWS_REGION: 'a', AWS_DEFAULT_REGION: 'b' },
    {},
    'AKID',
    undefined,
    'a',
  ],
  ['the other region', { ...KEYS, AWS_DEFAULT_REGION: 'b' }, {}, 'AKID', undefined, 'b'],
  [
    'the default profile',
    {},
    {
      credentials:
        '[default]\naws_access_key_id = A\naws_secret_access_key=B # note\naws_session_token=C\n',
      config: '; note\n[default]\nregion = eu-west-1\n',
    },
    'A',
    'C',
    'eu-west-1',
  ],
  [
    'a profile of the config file',
    { AWS_PROFILE: 'x-y' },
    { config: '[profile "x-y"]\naws_access_key_id=A\naws_secret_access_key=B\nregion=r\n' },
    'A',
    undefined,
    'r',
  ],
  [
    'no signature, as asked for',
    { ...KEYS, AWS_NO_SIGN_REQUEST: 'YES' },
    {},
    undefined,
    undefined,
    'us-east-1',
  ],
])('keys of %s', async (_, env, files, id, token, region) => {
  const access = await s3Access('s3://b/k', { ...home(files), ...env });
  expect(access.keys?.accessKeyId).toBe(id);
  expect(access.keys?.sessionToken).toBe(token);
  expect(access.region).toBe(region);
  expect(access.origin).not.toContain('hidden');
});

test('files of other names', async () => {
  const folder = temporaryDirectory();
  const [credentials, config] = [join(folder, 'one'), join(folder, 'two')];
  writeFileSync(credentials, '[p]\naws_access_key_id=A\naws_secret_access_key=B\n');
  writeFileSync(
    config,
    '[profile p]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://e\n',
  );
  const env = {
    AWS_SHARED_CREDENTIALS_FILE: credentials,
    AWS_CONFIG_FILE: config,
    AWS_PROFILE: 'p',
  };
  expect(await s3Access('s3://b/k', env)).toMatchObject({
    keys: { accessKeyId: 'A' },
    endpoint: 'http://e',
  });
  await expect(s3Access('s3://b/k', { ...env, AWS_PROFILE: 'q' })).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't open s3://b/k: there is no profile "q" in ${credentials} or ${config}`,
  });
});

test('a profile with another way to get keys is told', async () => {
  const env = home({ config: '[default]\nsso_session = work\n' });
  await expect(s3Access('s3://b/k', env)).rejects.toMatchObject({
    message: 'Can\'t open s3://b/k: the profile "default" has no keys but sso_session',
    details: { hint: expect.stringContaining('export-credentials') as unknown },
  });
});

test.each([
  ['bucket/disk.qcow2', {}, 'https://bucket.s3.us-east-1.amazonaws.com/disk.qcow2'],
  ['b.c/k', { AWS_REGION: 'eu-west-1' }, 'https://s3.eu-west-1.amazonaws.com/b.c/k'],
  ['bucket/k', { AWS_REGION: 'cn-north-1' }, 'https://bucket.s3.cn-north-1.amazonaws.com.cn/k'],
  ['bucket/k', { AWS_ENDPOINT_URL: 'http://h:1/' }, 'http://h:1/bucket/k'],
  [
    'bucket/k',
    { AWS_ENDPOINT_URL: 'http://h', AWS_ENDPOINT_URL_S3: 'http://s/x' },
    'http://s/x/bucket/k',
  ],
  [
    "bucket/a b/ü+?#%'(1)*!//c",
    { AWS_ENDPOINT_URL: 'http://h' },
    'http://h/bucket/a%20b/%C3%BC%2B%3F%23%25%27%281%29%2A%21//c',
  ],
])('s3://%s with %j is asked for at its address', async (place, env, url) => {
  const { fetch, asked } = answering(OPENED);
  const source = await openSource(`s3://${place}`, {
    env: { ...NOBODY, ...KEYS, ...env },
    fetch,
    now,
  });
  expect(asked[0]!.url).toBe(url);
  expect(asked[0]!.headers['range']).toBe('bytes=0-65535');
  expect(asked[0]!.headers['authorization']).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKID\/20261122\/[a-z0-9-]+\/s3\/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}$/,
  );
  expect(source.label).toBe(`s3://${place}`);
});

test('without keys nothing is signed', async () => {
  const { fetch, asked } = answering(OPENED);
  await openSource('s3://b/k', { env: NOBODY, fetch, now });
  expect(Object.keys(asked[0]!.headers)).toEqual(['Range']);
});

test.each([
  ['s3://', 'it has no name of a bucket'],
  ['s3:///key', 'it has no name of a bucket'],
  ['s3://b/a/../c', 'no address can name a key with a step "." or ".." in it'],
  ['s3://b/\ud800', 'the key is not valid Unicode'],
])('%j is refused', async (location, reason) => {
  await expect(openSource(location, { env: NOBODY })).rejects.toThrow(reason);
});

test.each([
  [
    'a header',
    {
      status: 301,
      headers: { 'x-amz-bucket-region': 'eu-north-1' },
      text: errorText('PermanentRedirect'),
    },
  ],
  [
    'the text',
    { status: 400, text: errorText('AuthorizationHeaderMalformed', '<Region>eu-north-1</Region>') },
  ],
])('the region that %s names is asked then, and from then on', async (_, elsewhere) => {
  const { fetch, asked } = answering(elsewhere, {
    ...OPENED,
    headers: { 'content-range': 'bytes 0-3/99999' },
  });
  const source = await openSource('s3://b/k', {
    env: { ...NOBODY, ...KEYS },
    fetch,
    now,
    tries: 1,
  });
  await source.readBatch([{ at: 4, into: new Uint8Array(1) }]).catch(() => undefined);
  expect(asked.map(({ url }) => url)).toEqual([
    'https://b.s3.us-east-1.amazonaws.com/k',
    'https://b.s3.eu-north-1.amazonaws.com/k',
    'https://b.s3.eu-north-1.amazonaws.com/k',
  ]);
  expect(asked[1]!.headers['authorization']).toContain('/eu-north-1/s3/');
});

test.each([
  ['NoSuchKey', 404, KEYS, 'the name has to be whole'],
  ['NoSuchBucket', 404, KEYS, 'AWS_ENDPOINT_URL_S3 names another server'],
  [
    'SignatureDoesNotMatch',
    403,
    KEYS,
    'the secret key is not that of the access key; the keys are those of AWS_ACCESS_KEY_ID',
  ],
  [
    'AccessDenied',
    403,
    {},
    `no keys were found: neither AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY nor a profile "default" with keys in ${NOBODY.HOME}/.aws/credentials or ${NOBODY.HOME}/.aws/config`,
  ],
  ['ExpiredToken', 400, KEYS, 'the keys were for a time, which is over'],
])('%s is told with what to do', async (code, status, env, hint) => {
  const { fetch, asked } = answering({ status, text: errorText(code) });
  await expect(
    openSource('s3://b/k', { env: { ...NOBODY, ...env }, fetch, now }),
  ).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    message: `Can't open s3://b/k: the server answers with status ${status}: ${code}: said so`,
    details: { hint: expect.stringContaining(hint) as unknown },
  });
  expect(asked.length).toBe(1);
});

test.each([
  '<html>',
  '',
  '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><Error>&a;</Error>',
  'x'.repeat(100_000),
])('an answer that is no error of such a server is told by its status (%#)', async (text) => {
  const { fetch } = answering({ status: 403, text });
  await expect(openSource('s3://b/k', { env: NOBODY, fetch, now })).rejects.toMatchObject({
    message: "Can't open s3://b/k: the server answers with status 403",
  });
});

const listText = (keys: readonly string[], more = ''): string =>
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
  `<EncodingType>url</EncodingType>${more}${keys
    .map(
      (key) =>
        `<Contents><Key>${key}</Key><LastModified>2026-11-22T01:02:03.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size></Contents>`,
    )
    .join('')}</ListBucketResult>`;

async function listed(fetch: Fetch, env = {}): Promise<ListedObject[]> {
  const options = { env: { ...NOBODY, AWS_ENDPOINT_URL: 'http://h', ...env }, fetch, now };
  const found: ListedObject[] = [];
  const sleep = (): Promise<void> => Promise.resolve();
  for await (const one of listObjects('s3://b/a b/', { ...options, sleep })) found.push(one);
  return found;
}

test('a bucket is listed page by page, by an answer that is tried for again', async () => {
  const cut = '<IsTruncated>true</IsTruncated><NextContinuationToken>t/+</NextContinuationToken>';
  const { fetch, asked } = answering(
    { status: 503 },
    { status: 200, text: listText(['a+b%2F1%2B'], cut) },
    { status: 200, text: listText(['a%20b/&amp;'], '<IsTruncated>false</IsTruncated>') },
  );
  expect(await listed(fetch, KEYS)).toEqual(
    ['a b/1+', 'a b/&'].map((key) => ({
      location: `s3://b/${key}`,
      key,
      sizeBytes: 5,
      etag: '"e"',
      lastModified: new Date('2026-11-22T01:02:03Z'),
    })),
  );
  expect(asked.map(({ url }) => url)).toEqual([
    'http://h/b/?encoding-type=url&list-type=2&prefix=a%20b%2F',
    'http://h/b/?encoding-type=url&list-type=2&prefix=a%20b%2F',
    'http://h/b/?continuation-token=t%2F%2B&encoding-type=url&list-type=2&prefix=a%20b%2F',
  ]);
});

test.each([
  ['no list', { status: 200, text: '<html/>' }, 'the answer is no list of objects'],
  ['no XML', { status: 200, text: 'nothing' }, 'the answer is no list of objects'],
  [
    'half a list',
    { status: 200, text: listText(['a']).slice(0, -30) },
    'the answer is no list of objects',
  ],
  [
    'a list without its end',
    { status: 200, text: listText([], '<IsTruncated>true</IsTruncated>') },
    'the list ends before its end',
  ],
  [
    'an object without a name',
    { status: 200, text: listText([]).replace('</List', '<Contents/></List') },
    'an object in the list has no Key',
  ],
  [
    'no right',
    { status: 403, text: errorText('AccessDenied') },
    'the server answers with status 403: AccessDenied: said so',
  ],
])('%s is an error', async (_, answer, reason) => {
  const listing = listed(answering(answer).fetch);
  await expect(listing).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  await expect(listing).rejects.toThrow(`Can't list s3://b/a b/: ${reason}`);
});
