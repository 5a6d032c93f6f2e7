/** `audit --fix`: what is mended, what is left, and that nothing else of the image changes. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { AUDIT_RULES } from '../../../src/index.js';
import { isFindingCode } from '../../../src/read/check/catalog.js';
import { safeRemedyOf } from '../../../src/cli/qsnap/mending/safe-remedies.js';
import { temporaryDirectory } from '../../support/directories.js';
import {
  scrubbedPlainly,
  SECRET,
  unreferencedIn,
  withSecrets,
} from '../../support/unreferenced.js';
import { expectSound, imageOf, parsed, qsnap, shown } from './harness.js';

interface AuditJson {
  readonly images: readonly {
    readonly findings: readonly { readonly rule: string }[];
    readonly mending?: {
      readonly 'dry-run'?: true;
      readonly declined?: true;
      readonly repair?: { readonly 'lowered-clusters': number };
      readonly scrub?: { readonly scrubbed?: Readonly<Record<string, number>> };
      readonly error?: { readonly code: string };
    };
  }[];
}

const FIX = ['audit', '--profile', 'golden-image', '--fix'];

async function fixed(argv: readonly string[]): Promise<AuditJson['images'][number]> {
  const { stdout } = await qsnap(['audit', '--json', '--fix', ...argv]);
  return (parsed('audit', stdout) as AuditJson).images[0]!;
}

const rulesOf = ({ findings }: AuditJson['images'][number]): readonly string[] =>
  findings.map(({ rule }) => rule);

/** An image with a secret wherever nothing refers to. */
function imageWithSecrets(fixture: string): string {
  const image = imageOf(fixture);
  writeFileSync(image, withSecrets(readFileSync(image)));
  return image;
}

function policyFile(text: string): string {
  const file = path.join(temporaryDirectory(), 'policy.yaml');
  writeFileSync(file, text);
  return file;
}

const holdsSecret = (image: string): boolean => readFileSync(image).includes(SECRET);

describe('mends, and judges again', () => {
  test('leaks, and what the clusters that it frees have held', async () => {
    const image = imageOf('refcount-leaks');
    const { code, stdout, stderr } = await qsnap([...FIX, '--yes', image]);
    expect({ code, stderr }).toEqual({ code: 4, stderr: '' });
    expect(shown(stdout, image)).toMatch(
      /^Repaired .*\nA check finds: no errors\.\nScrubbed .* in free clusters\.\n.*\nrefcount-leaks\.qcow2: 1 error\n {2}error {4}QS1101 .*\n$/,
    );
    await expectSound(image);
    expect(await qsnap([...FIX, '--yes', '-q', image])).toMatchObject({ code: 4, stderr: '' });
    await expectSound(image);
  });

  test('a mark that nothing but itself speaks for', async () => {
    const image = imageOf('dirty');
    const found = await fixed(['--profile', 'evidence', '--yes', image]);
    expect(rulesOf(found)).toEqual([]);
    expect(found.mending).toHaveProperty('repair');
    await expectSound(image);
  });

  test('what was deleted, and no byte more', async () => {
    const image = imageWithSecrets('no-snapshots');
    const before = readFileSync(image);
    expect(holdsSecret(image)).toBe(true);
    const { code, stdout } = await qsnap([...FIX, '-y', image]);
    expect(shown(stdout, image)).toMatch(/^Scrubbed .*\n.*\nno-snapshots\.qcow2: passes\n$/);
    expect(code).toBe(0);
    expect(Buffer.compare(readFileSync(image), scrubbedPlainly(before))).toBe(0);
    await expectSound(image);
  });

  test('several images, each by itself', async () => {
    const images = ['refcount-leaks', 'no-snapshots', 'five-snapshots'].map(imageOf);
    const { code, stdout } = await qsnap([...FIX, '--yes', ...images, 'nowhere.qcow2']);
    expect(code).toBe(1);
    expect(stdout).toContain('4 images: 1 without a finding, 2 with 2 errors, 1 not audited.');
    for (const image of images) await expectSound(image);
  });
});

describe('leaves as it is', () => {
  test.each([
    ['five-snapshots', 4, 'nothing that --fix mends'],
    ['refcount-too-low', 2, '--fix mends no damaged image'],
    ['corrupt', 4, 'nothing that --fix mends'],
    ['qcow-version-1', 4, 'nothing that --fix mends'],
  ])('%s', async (fixture, expected, said) => {
    const image = imageOf(fixture);
    const before = readFileSync(image);
    const { code, stdout, stderr } = await qsnap([...FIX, '--yes', image]);
    expect({ code, stderr }).toEqual({ code: expected, stderr: '' });
    expect(stdout).toContain(said);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('a marked image that a check finds errors in', async () => {
    const image = imageOf('refcount-too-low');
    const bytes = readFileSync(image);
    bytes[79]! |= 1;
    writeFileSync(image, bytes);
    const policy = policyFile('rules: { dirty: error }\n');
    const found = await fixed(['--policy', policy, '--yes', image]);
    expect(rulesOf(found)).toEqual(['QS1302']);
    expect(found).not.toHaveProperty('mending');
    expect(readFileSync(image).equals(bytes)).toBe(true);
  });

  test('what a policy has off or allows', async () => {
    const image = imageWithSecrets('refcount-leaks');
    const before = readFileSync(image);
    const policy = policyFile(`extends: [golden-image]
rules: { free-clusters: off }
exceptions:
  - { rule: leaks, reason: known, until: 2999-12-31 }
  - { rule: slack, reason: known, until: 2999-12-31 }
`);
    const found = await fixed(['--policy', policy, '--yes', image]);
    expect(rulesOf(found)).toEqual(['QS1101']);
    expect(found).not.toHaveProperty('mending');
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('a part of what could be scrubbed, where the other part is allowed', async () => {
    const image = imageOf('five-snapshots');
    expect((await qsnap(['delete', '-q', image, 'id:2', 'id:3'])).code).toBe(0);
    const before = withSecrets(readFileSync(image));
    writeFileSync(image, before);
    const policy = policyFile('rules: { slack: error }\n');
    const found = await fixed(['--policy', policy, '--yes', image]);
    expect(rulesOf(found)).toEqual([]);
    expect(found.mending?.scrub?.scrubbed).toMatchObject({ 'free-bytes': 0, 'tail-bytes': 0 });
    const expected = before.slice();
    for (const { where, at, length } of unreferencedIn(before)) {
      const isSlack = where !== 'free cluster' && where !== 'tail';
      if (isSlack) expected.fill(0, at, at + length);
    }
    expect(Buffer.compare(readFileSync(image), expected)).toBe(0);
    expect(holdsSecret(image)).toBe(true);
    await expectSound(image);
  });

  test('codes that a rule leaves out', async () => {
    const image = imageOf('refcount-leaks');
    const before = readFileSync(image);
    const policy = policyFile('rules: { leaks: { level: error, except: ["REFCOUNT_*"] } }\n');
    const found = await fixed(['--policy', policy, '--yes', image]);
    expect(rulesOf(found)).toEqual([]);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('what a baseline has', async () => {
    const image = imageOf('refcount-leaks');
    const before = readFileSync(image);
    const file = path.join(temporaryDirectory(), 'baseline.json');
    const argv = ['--profile', 'golden-image', image];
    writeFileSync(file, (await qsnap(['audit', '--json', ...argv])).stdout);
    const found = await fixed(['--baseline', file, '--yes', ...argv]);
    expect(found).toMatchObject({ findings: [] });
    expect(readFileSync(image).equals(before)).toBe(true);
  });
});

describe('asks first', () => {
  test.each([
    ['y', 4],
    ['n', 1],
    ['', 1],
  ])('who answers %j', async (answer, expected) => {
    const image = imageOf('refcount-leaks');
    const before = readFileSync(image);
    const { code, stdout, stderr } = await qsnap([...FIX, image], { answer });
    expect(code).toBe(expected);
    expect(shown(stderr, image)).toBe(
      'Mend QS1602 leaks, QS1701 free-clusters of refcount-leaks.qcow2? [y/N] ',
    );
    expect(shown(stdout, image)).toMatch(
      /^refcount-leaks\.qcow2: --fix would mend QS1602 leaks, QS1701 free-clusters\n {2}Would repair /,
    );
    expect(stdout.includes('Nothing was mended.')).toBe(answer !== 'y');
    expect(readFileSync(image).equals(before)).toBe(answer !== 'y');
    if (answer === 'y') await expectSound(image);
  });

  test.each([
    [[], {}],
    [['--json'], { answer: 'y' }],
    [['--format', 'sarif'], { answer: 'y' }],
  ])('and does nothing where nobody can be asked: %j', async (argv, options) => {
    const image = imageOf('dirty');
    const before = readFileSync(image);
    const { code, stdout, stderr } = await qsnap([...FIX, ...argv, image], options);
    expect(code).toBe(1);
    expect(stderr).toContain('QS1302 dirty would be mended, and nobody can be asked');
    expect(stderr).toContain('--yes');
    expect(readFileSync(image).equals(before)).toBe(true);
    if (argv[0] === '--json') {
      const [found] = (parsed('audit', stdout) as AuditJson).images;
      expect(found!.mending).toMatchObject({ declined: true, repair: { 'dry-run': true } });
    }
  });

  test('--dry-run tells what would be done, and what is wrong', async () => {
    const image = imageOf('refcount-leaks');
    const before = readFileSync(image);
    const { code, stdout, stderr } = await qsnap([...FIX, '-n', image]);
    expect({ code, stderr }).toEqual({ code: 4, stderr: '' });
    expect(stdout).toContain('A check finds then: no errors.');
    expect(stdout).toContain('1 KiB in free clusters');
    expect(stdout).toContain('error    QS1602 leaks');
    const found = await fixed(['--profile', 'golden-image', '-n', image]);
    expect(found.mending).toMatchObject({ 'dry-run': true, repair: {}, scrub: {} });
    expect(readFileSync(image).equals(before)).toBe(true);
  });
});

test('what can not be mended is told, and what was found', async () => {
  const image = imageWithSecrets('dirty');
  const before = readFileSync(image);
  const policy = policyFile('rules: { slack: error }\n');
  const argv = ['audit', '--policy', policy, '--fix', '--yes', '--json', image];
  const { code, stdout, stderr } = await qsnap(argv);
  expect(code).toBe(1);
  expect(stderr).toContain('The image is unchanged.');
  const [found] = (parsed('audit', stdout) as AuditJson).images;
  expect(found!.mending!.error!.code).toBe('IMAGE_DIRTY');
  expect(rulesOf(found!)).toContain('QS1702');
  expect(readFileSync(image).equals(before)).toBe(true);
});

test.each([
  [['--fix', '--staged'], 'what is staged is none'],
  [['--yes', 'x'], 'are for --fix'],
  [['--dry-run', 'x'], 'are for --fix'],
  [['--fix', '-U', 'x'], '--force-share is for reading'],
])('refuses %j', async (argv, said) => {
  const { code, stderr } = await qsnap(['audit', '--profile', 'evidence', ...argv]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(said) as string });
});

test('the table of safe remedies has rules and codes that there are', () => {
  const mended = AUDIT_RULES.filter((rule) => safeRemedyOf(rule) !== undefined);
  expect(mended.map(({ name }) => name)).toEqual(['dirty', 'leaks', 'free-clusters', 'slack']);
  for (const rule of mended) {
    const { repairs, scrubs } = safeRemedyOf(rule)!;
    expect(repairs.every(isFindingCode)).toBe(true);
    // One edit: what is said of it is what is done.
    expect([repairs.length > 0, scrubs.length > 0].filter(Boolean)).toHaveLength(1);
  }
});
