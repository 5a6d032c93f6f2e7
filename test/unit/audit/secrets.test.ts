import { describe, expect, test } from 'vitest';
import { SecretSearch } from '../../../src/audit/secrets/secret-search.js';
import { auditImage, findKnownSecrets, findRule, KNOWN_SECRETS } from '../../../src/index.js';
import { memoryDevice, type FindSecrets, type SecretsLeft } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';
import { cpuMilliseconds } from '../../support/cpu-time.js';

const fill = (length: number): string => '0123456789abcdefABCDEF'.repeat(99).slice(0, length);

/** Of each shape one that is documentation's own, or that nobody ever issued. */
const EXAMPLES: Readonly<Record<string, string>> = {
  'private-key': `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n${'A'.repeat(64)}`,
  'aws-access-key-id': 'AKIAIOSFODNN7EXAMPLE',
  'github-token': `ghp_${fill(36)}`,
  'gitlab-token': `glpat-${fill(20)}`,
  'slack-token': `xoxb-${'1'.repeat(12)}-${'x'.repeat(24)}`,
  'slack-webhook': `https://hooks.slack.com/services/T00000000/B00000000/${'X'.repeat(24)}`,
  'google-api-key': `AIza${fill(35)}`,
  'stripe-secret-key': `sk_live_${'x'.repeat(24)}`,
  'npm-token': `npm_${fill(36)}`,
  'pypi-token': `pypi-AgEIcHlwaS5vcmc${fill(60)}`,
  'sendgrid-key': `SG.${fill(22)}.${fill(43)}`,
  'json-web-token': `eyJ${fill(20)}.eyJ${fill(20)}.${fill(43)}`,
  'password-hash': `:$6$saltsalt$${fill(86)}:19000:0:`,
  'luks-header': 'LUKS\xba\xbe\0',
};

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const all = (): boolean => true;

/** What a search finds in pieces of a file. */
function searched(
  find: FindSecrets,
  ...pieces: readonly (readonly [number, Uint8Array])[]
): readonly SecretsLeft[] {
  const search = new SecretSearch(find);
  for (const [at, bytes] of pieces) search.add('free-clusters', at, bytes);
  return search.end();
}

test('every shape has an example', () => {
  expect(Object.keys(EXAMPLES)).toEqual(KNOWN_SECRETS);
});

describe.each(Object.entries(EXAMPLES))('%s', (pattern, example) => {
  test('is found among other bytes, and only as itself', () => {
    const bytes = bytesOf(`\x80\xff\0 ${example} \xfe`);
    expect([...findKnownSecrets(bytes, all)]).toEqual([{ pattern, at: 4, length: example.length }]);
  });

  test('half of one is none', () => {
    const half = example.slice(0, Math.ceil(example.length / 2));
    expect([...findKnownSecrets(bytesOf(half), all)]).toEqual([]);
  });
});

test('a header without a key, and a token within a longer word, are none', () => {
  const texts = [
    '-----BEGIN PRIVATE KEY-----\0-----END PRIVATE KEY-----',
    `x${EXAMPLES['aws-access-key-id']!}`,
    `${EXAMPLES['github-token']!}f`,
  ];
  for (const text of texts) expect([...findKnownSecrets(bytesOf(text), all)]).toEqual([]);
});

describe('a search', () => {
  const key = bytesOf(` ${EXAMPLES['github-token']!} `);
  const [listed] = [{ pattern: 'github-token', where: 'free-clusters', length: 40 }];

  test.each([1, 2, 20, 41])(
    'finds a secret of which %i bytes lie in the first of two pieces',
    (n) => {
      const before = new Uint8Array(70_000).fill(0x20);
      const first = new Uint8Array([...before, ...key.subarray(0, n)]);
      const second = new Uint8Array([...key.subarray(n), ...before]);
      const found = searched(findKnownSecrets, [512, first], [512 + first.length, second]);
      expect(found).toMatchObject([{ count: 1, listed: [{ ...listed, at: 512 + 70_001 }] }]);
    },
  );

  test('takes nothing together that does not lie together', () => {
    const [a, b] = [key.subarray(0, 20), key.subarray(20)];
    expect(searched(findKnownSecrets, [0, a], [21, b])).toEqual([]);
    const search = new SecretSearch(findKnownSecrets);
    search.add('tail', 0, a);
    search.add('table-slack', 20, b);
    expect(search.end()).toEqual([]);
  });

  test('tells each once, in pieces of any size', () => {
    const text = Array.from({ length: 1000 }, (_, i) => `${i} ${EXAMPLES['npm-token']!}\n`).join(
      '',
    );
    const bytes = bytesOf(text);
    const at = [...text.matchAll(/npm_/g)].map(({ index }) => index);
    for (const size of [512, 4096, 8192, 10_001, bytes.length]) {
      const pieces: [number, Uint8Array][] = [];
      for (let i = 0; i < bytes.length; i += size) pieces.push([i, bytes.subarray(i, i + size)]);
      const [found] = searched(findKnownSecrets, ...pieces);
      expect(found).toMatchObject({ count: 1000, isFull: true });
      expect(found!.listed.map((one) => one.at)).toEqual(at.slice(0, 20));
    }
  });

  test('ends with the thousandth of a pattern, and goes on with others', () => {
    let asked = 0;
    const endless: FindSecrets = function* (bytes, wants) {
      for (let i = 0; wants('a'); i++, asked++) yield { pattern: 'a', at: i, length: 1 };
      yield { pattern: 'b', at: bytes.length - 1, length: 1 };
    };
    const found = searched(endless, [0, new Uint8Array(20_000)]);
    expect(found.map(({ pattern, count }) => [pattern, count])).toEqual([
      ['a', 1000],
      ['b', 1],
    ]);
    expect(asked).toBe(1000);
  });
});

describe('the rule', () => {
  const rule = findRule('secrets-left')!;
  /** An image with something behind its last cluster. */
  const withTail = (text: string): Uint8Array => {
    const image = loadFixture('no-snapshots');
    const bytes = new Uint8Array(image.length + 65_536);
    bytes.set(image);
    bytes.set(bytesOf(text), image.length + 100);
    return bytes;
  };
  const told = async (
    bytes: Uint8Array,
    options = {},
    findSecrets?: FindSecrets,
  ): Promise<readonly string[]> => {
    const rules = new Map([[rule.id, { level: 'error' as const, options }]]);
    const surroundings = { now: 0, ...(findSecrets && { findSecrets }) };
    const policy = { rules, exceptions: [] };
    const { findings } = await auditImage(memoryDevice(bytes), policy, surroundings);
    return findings.map(({ message, at }) => `${at ?? 'nowhere'}: ${message}`);
  };

  test('tells place and kind, and no byte of the secret', async () => {
    const { length } = loadFixture('no-snapshots');
    const found = await told(withTail(`${EXAMPLES['aws-access-key-id']!} `));
    expect(found).toEqual([
      `${length + 100}: 20 bytes in the end of the file behind the last cluster that is in use look like a secret: aws-access-key-id`,
    ]);
    expect(found.join()).not.toContain('AKIA');
  });

  test('lists twenty of a kind, and counts the others', async () => {
    const found = await told(withTail(`${EXAMPLES['aws-access-key-id']!} `.repeat(23)));
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toBe('nowhere: 3 secrets of the kind aws-access-key-id are not listed');
  });

  test('leaves out patterns by name', async () => {
    const bytes = withTail(EXAMPLES['aws-access-key-id']!);
    expect(await told(bytes, { except: ['aws-access-key-id'] })).toEqual([]);
  });

  test('does not pass over expressions of a policy that nobody looks for', async () => {
    const options = { patterns: [{ name: 'own', regex: 'x' }] };
    await expect(told(withTail(''), options)).rejects.toThrow(TypeError);
    expect(await told(withTail(''), options, () => [])).toEqual([]);
  });
});

test('bytes that are much like secrets take no longer', () => {
  const much = ['eyJ', 'eyJ.', '-----BEGIN ', ':$6$', 'xoxb-', 'A: b\n', 'ghp_a', 'AKIA'];
  for (const text of much) {
    const bytes = bytesOf(text.repeat(2 ** 20 / text.length));
    const begun = cpuMilliseconds();
    expect([...findKnownSecrets(bytes, all)]).toEqual([]);
    // Seconds would be a search that goes back and forth.
    expect(cpuMilliseconds() - begun).toBeLessThan(2000);
  }
});
