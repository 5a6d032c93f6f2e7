/** Images in buckets of OpenStack Swift, which checks signatures as S3 does. */
import { AwsClient } from 'aws4fetch';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { examineImage } from '../../src/cli/fleet/examine/examine-image.js';
import { stampOf } from '../../src/cli/fleet/examine/stamp.js';
import { findImages, type Unseen } from '../../src/cli/fleet/places/find-images.js';
import { listObjects } from '../../src/cli/remote/list-objects.js';
import { openSource } from '../../src/cli/remote/open-source.js';
import { profileOf } from '../../src/index.js';
import { openForReading } from '../../src/image/open-for-reading.js';
import { checkImage } from '../../src/read/check/check-image.js';
import { leaveOut } from '../support/left-out.js';
import { loadFixture } from '../support/fixture.js';
import { describeWithSwift, startSwift, type Swift } from '../support/swift.js';
import { qsnap } from '../cli/qsnap/harness.js';

const throwUnseen = ({ location, reason }: Unseen): never => {
  throw new Error(`${location}: ${reason}`);
};

const KEYS = ['disk.qcow2', 'a b/ü+?#%41.qcow2', "a b/(1)*!'&<.qcow2"];

describeWithSwift('Swift', () => {
  let swift: Swift;
  let client: AwsClient;
  const put = async (key: string, body: Uint8Array): Promise<void> => {
    const place = key.split('/').map(encodeURIComponent).join('/');
    const url = `${swift.endpoint}/images/${place}`;
    const { status } = await client.fetch(url, { method: 'PUT', body: Buffer.from(body) });
    expect(status).toBe(200);
  };
  beforeAll(async () => {
    swift = await startSwift();
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = swift.env;
    client = new AwsClient({
      accessKeyId: AWS_ACCESS_KEY_ID!,
      secretAccessKey: AWS_SECRET_ACCESS_KEY!,
      ...{ service: 's3', region: 'us-east-1' },
    });
    const made = await client.fetch(`${swift.endpoint}/images`, { method: 'PUT' });
    expect(made.status).toBe(200);
    for (const key of KEYS) await put(key, loadFixture('five-snapshots'));
  }, 60_000);
  afterAll(() => swift.stop());

  test.each(KEYS)('%s is opened and checked', async (key) => {
    const source = await openSource(`s3://images/${key}`, { env: swift.env });
    const { snapshots } = await openForReading(source);
    expect(snapshots.length).toBe(5);
    expect(await checkImage(source)).toMatchObject({ exitCode: 0 });
  });

  test('a catalogue finds the images of a bucket, and tells their versions', async () => {
    await put('vms/notes.txt', new TextEncoder().encode('no image'));
    for (const name of ['a', 'ü+?']) await put(`vms/${name}`, loadFixture('no-snapshots'));
    for (const [name, value] of Object.entries(swift.env)) vi.stubEnv(name, value);
    const found: string[] = [];
    for await (const { location } of findImages('s3://images/vms/', throwUnseen)) {
      found.push(location);
    }
    expect(found.toSorted()).toEqual(['s3://images/vms/a', 's3://images/vms/ü+?']);
    const record = await examineImage('s3://images/disk.qcow2', {
      policy: profileOf('host-backup'),
      now: 0,
      forceShare: false,
      hash: false,
    });
    expect(record.disks.length).toBe(6);
    expect(record.stamp).toBe(await stampOf('s3://images/disk.qcow2'));
    vi.unstubAllEnvs();
  });

  test('an image that is replaced is told', async () => {
    await put('changing', loadFixture('five-snapshots'));
    const source = await openSource('s3://images/changing', { env: swift.env });
    const other = loadFixture('five-snapshots').slice();
    other[other.length - 1]! ^= 1;
    await put('changing', other);
    const reading = source.readBatch([{ at: 1_000_000, into: new Uint8Array(10) }]);
    await expect(reading).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
  });

  test.each([
    ['s3://images/none', {}, 404, 'NoSuchKey'],
    ['s3://nobody/none', {}, 404, 'NoSuchBucket'],
    ['s3://images/disk.qcow2', { AWS_SECRET_ACCESS_KEY: 'wrong' }, 403, 'SignatureDoesNotMatch'],
    [
      's3://images/disk.qcow2',
      { AWS_ACCESS_KEY_ID: 'a:b' },
      403,
      '(InvalidAccessKeyId|SignatureDoesNotMatch)',
    ],
  ])('%s with %j: %i %s', async (location, env, status, code) => {
    const opening = openSource(location, { env: { ...swift.env, ...env }, tries: 1 });
    await expect(opening).rejects.toMatchObject({
      code: 'OPEN_FAILED',
      message: expect.stringMatching(new RegExp(`status ${status}: ${code}: `)) as unknown,
      details: { hint: expect.any(String) as unknown },
    });
  });

  test('who shows no keys is told which were looked for', async () => {
    const env = { ...swift.env, AWS_ACCESS_KEY_ID: '' };
    // Swift takes a request without a signature for one of its own interface.
    await expect(openSource('s3://images/disk.qcow2', { env })).rejects.toMatchObject({
      message: "Can't open s3://images/disk.qcow2: the server answers with status 400",
      details: { hint: expect.stringContaining('no keys were found') as unknown },
    });
  });

  test('the wrong region is not an obstacle', async () => {
    const env = { ...swift.env, AWS_REGION: 'eu-west-1' };
    const source = await openSource('s3://images/disk.qcow2', { env });
    expect(await source.sizeBytes()).toBe(loadFixture('five-snapshots').length);
  });

  test('a bucket and a part of it are listed', async () => {
    const keysOf = async (location: string): Promise<readonly string[]> => {
      const keys: string[] = [];
      for await (const { key, sizeBytes, etag } of listObjects(location, { env: swift.env })) {
        keys.push(key);
        expect(sizeBytes).toBeGreaterThan(0);
        expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
      }
      return keys;
    };
    expect(
      (await keysOf('s3://images')).filter((key) => !key.startsWith('vms/') && key !== 'changing'),
    ).toEqual(KEYS.toSorted());
    expect(await keysOf('s3://images/a b/')).toEqual(KEYS.slice(1).toSorted());
    expect(await keysOf('s3://images/nothing')).toEqual([]);
  });

  test('more objects than a page has are listed', async () => {
    // A page has 1,000.
    if (process.env['QSNAP_THOROUGH'] !== '1') {
      leaveOut('a list of more than a page, which QSNAP_THOROUGH=1 tries');
      return;
    }
    const count = 1100;
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count)
        await put(`many/${String((next += 1)).padStart(4, '0')}`, new Uint8Array(1));
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
    let [found, last] = [0, ''];
    for await (const { key } of listObjects('s3://images/many/', { env: swift.env })) {
      expect(key > last).toBe(true);
      last = key;
      found += 1;
    }
    expect(found).toBe(count);
  }, 120_000);

  test('a presigned address is opened, and its signature is not printed', async () => {
    const { url } = await client.sign(`${swift.endpoint}/images/disk.qcow2`, {
      aws: { signQuery: true },
    });
    const { code, stdout, stderr } = await qsnap(['list', '--json', url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toContain('X-Amz');
  });

  test('commands take the address, with keys of the environment', async () => {
    const before = { ...process.env };
    Object.assign(process.env, swift.env);
    try {
      const { code, stdout } = await qsnap(['info', 's3://images/a b/ü+?#%41.qcow2']);
      expect(code).toBe(0);
      expect(stdout).toContain('s3://images/a b/ü+?#%41.qcow2\n');
    } finally {
      process.env = before;
    }
  });
});
