import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { AUDIT_RULES, PROFILE_NAMES, profileOf } from '../../../src/index.js';
import { COMMAND_NAMES } from '../../../src/cli/qsnap/program.js';
import { optionLines, ruleLines } from '../../../src/cli/qsnap/present/audit-text.js';
import { safeRemedyOf } from '../../../src/cli/qsnap/mending/safe-remedies.js';
import { helpOfRule } from '../../../src/cli/qsnap/rule-help.js';
import { copyCompanions, fixtureNames } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { imageOf, parsed, qsnap } from './harness.js';
import { oneIn } from '../../support/left-out.js';

interface AuditJson {
  readonly images: readonly {
    readonly filename: string;
    readonly findings: readonly { readonly rule: string; readonly level: string }[];
  }[];
  readonly totals: Readonly<Record<string, number>>;
}

const audited = async (argv: readonly string[]): Promise<AuditJson> => {
  const { stdout } = await qsnap(['audit', '--json', ...argv]);
  return parsed('audit', stdout) as AuditJson;
};

const rulesOf = ({ images }: AuditJson): readonly string[] =>
  images.flatMap(({ findings }) => findings.map(({ rule }) => rule));

describe.each(PROFILE_NAMES)('--profile %s', (profile) => {
  test('judges every fixture, and says the same again', async () => {
    const images = oneIn(3, fixtureNames()).map(imageOf);
    const once = await audited(['--profile', profile, ...images]);
    expect(once.images.map(({ filename }) => filename)).toEqual(images);
    expect(once.totals['not-audited']).toBe(0);
    expect(await audited(['--profile', profile, ...images])).toEqual(once);
  });
});

describe('exit codes', () => {
  test.each([
    [0, ['--profile', 'untrusted-upload'], ['no-snapshots']],
    [4, ['--profile', 'golden-image'], ['five-snapshots']],
    [2, ['--profile', 'golden-image'], ['five-snapshots', 'refcount-too-low']],
    [0, ['--profile', 'untrusted-upload'], ['five-snapshots']],
    [4, ['--profile', 'untrusted-upload', '--fail-on', 'warning'], ['five-snapshots']],
    [4, ['--profile', 'untrusted-upload'], ['backing-chain']],
    [4, ['--profile', 'untrusted-upload'], ['qcow-version-1']],
    [4, ['--profile', 'untrusted-upload'], ['feature-incompatible-unknown']],
    [4, ['--readable-by', 'nbdkit'], ['five-snapshots']],
    [0, ['--readable-by', 'openstack,imago'], ['five-snapshots']],
    [0, ['--backing'], ['no-snapshots']],
    [4, ['--backing'], ['backing-missing']],
  ])('%i for %j of %j', async (code, options, names) => {
    const ran = await qsnap(['audit', ...options, ...names.map(imageOf)]);
    expect(ran.code, ran.stdout + ran.stderr).toBe(code);
  });

  test('1 for what can not be read; the others are judged', async () => {
    const { code, stdout, stderr } = await qsnap([
      ...['audit', '--profile', 'golden-image', imageOf('no-snapshots'), 'nowhere.qcow2'],
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain(': passes\n');
    expect(stdout).toContain('2 images: 1 without a finding, 1 not audited.');
    expect(stderr).toContain("Can't open nowhere.qcow2");
  });

  test.each([
    [[imageOf('no-snapshots')], 'say what images are to be like'],
    [['--profile', 'untrusted-upload'], "missing required argument 'image'"],
    [['--profile', 'strict', 'x'], 'Write untrusted-upload, golden-image'],
    [['--readable-by', 'qemu', 'x'], 'Write openstack, nbdkit'],
    [['--explain', 'QS9999'], 'no rule is called "QS9999"; there are QS1001 image, '],
    [['--explain', 'disk-siz'], 'no rule is called "disk-siz"; did you mean "disk-size"?'],
  ])('1 for %j', async (argv, said) => {
    const { code, stderr } = await qsnap(['audit', ...argv]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(said) as string });
  });
});

test('what a baseline has in another place is new', async () => {
  const image = imageOf('refcount-too-low');
  const argv = ['audit', '--profile', 'golden-image', '--json', image];
  const { stdout } = await qsnap(argv);
  const file = path.join(temporaryDirectory(), 'moved.json');
  const known = JSON.parse(stdout) as {
    images: { findings: { rule: string; offset?: number }[] }[];
  };
  const [moved] = known.images[0]!.findings.filter(({ rule }) => rule === 'QS1601');
  moved!.offset! += 8;
  writeFileSync(file, JSON.stringify(known));
  const { images } = await audited(['--profile', 'golden-image', '--baseline', file, image]);
  expect(images[0]!.findings.map(({ rule }) => rule)).toEqual(['QS1601']);
});

test.each([[['golden-image', 'untrusted-upload']], [['untrusted-upload', 'golden-image']]])(
  'of profiles %j the gravest counts',
  async (profiles) => {
    const options = profiles.flatMap((name) => ['--profile', name]);
    expect((await qsnap(['audit', ...options, imageOf('five-snapshots')])).code).toBe(4);
  },
);

test('what a check found before it had to stop is corruption, too', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  bytes.writeUInt32BE(0xffff_ffff, 60);
  writeFileSync(image, bytes);
  expect((await qsnap(['audit', '--profile', 'golden-image', image])).code).toBe(2);
});

test('a corrupt image does not pass, whatever a policy allows', async () => {
  const file = path.join(temporaryDirectory(), 'blind.yaml');
  writeFileSync(file, 'rules: { corruption: off, leaks: error }\n');
  const { code, stdout } = await qsnap(['audit', '--policy', file, imageOf('refcount-too-low')]);
  expect(code).toBe(2);
  expect(stdout).toContain(': corrupt, which no policy allows');
});

test('a baseline leaves out what was there before, and shows what is new', async () => {
  const image = imageOf('five-snapshots');
  const file = path.join(temporaryDirectory(), 'baseline.json');
  const argv = ['audit', '--profile', 'golden-image'];
  writeFileSync(file, (await qsnap([...argv, '--json', image])).stdout);
  const same = await qsnap([...argv, '--baseline', file, image]);
  expect({ code: same.code, stdout: same.stdout }).toEqual({
    code: 0,
    stdout: `${image}: passes\n`,
  });
  expect((await qsnap(['create', image, 'one more'])).code).toBe(0);
  const more = await qsnap([...argv, '--baseline', file, image]);
  expect(more.code).toBe(4);
  expect(more.stdout).toContain('QS1101 snapshots: the image has 6 internal snapshots');
  const refused = async (said: string): Promise<void> => {
    const { code, stdout, stderr } = await qsnap([...argv, '--json', '--baseline', file, image]);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^qsnap: .*${said}[^\\n]*\\n$`));
    expect(parsed('audit', stdout)).toMatchObject({ error: { code: 'OPEN_FAILED' } });
  };
  writeFileSync(file, '{"images": 7}');
  await refused('is no output of');
  writeFileSync(file, 'no JSON');
  await refused("can't be read: ");
  rmSync(file);
  await refused("can't be read: ");
});

test('nothing is written, and no file that an image names is opened', async () => {
  const image = imageOf('backing-chain');
  expect(existsSync(image)).toBe(true);
  const found = await audited(['--profile', 'evidence', image]);
  expect(rulesOf(found)).toContain('QS1201');
});

describe('--backing', () => {
  test('follows the chain of the image, as long as it is', async () => {
    const image = imageOf('backing-chain');
    const [base] = copyCompanions('backing-chain', path.dirname(image));
    const whole = await qsnap(['audit', '--backing', image]);
    expect(whole).toMatchObject({ code: 0, stdout: `${image}: passes\n`, stderr: '' });
    rmSync(path.join(path.dirname(image), base!));
    const { code, stdout } = await qsnap(['audit', '--backing', image]);
    expect(code).toBe(4);
    expect(stdout).toContain("QS1208 chain-complete: the chain can't be followed to file ");
  });

  test('asks for no rule that the policy sets otherwise', async () => {
    const file = path.join(temporaryDirectory(), 'policy.yaml');
    writeFileSync(file, 'rules: { chain-complete: off, dirty: error }\n');
    const argv = ['audit', '--policy', file, '--backing', imageOf('backing-missing')];
    expect(await qsnap(argv)).toMatchObject({ code: 0, stderr: '' });
  });

  test('without it a rule about the chain is broken by what was not looked at', async () => {
    const file = path.join(temporaryDirectory(), 'policy.yaml');
    writeFileSync(file, 'rules: { chain-complete: error }\n');
    const argv = ['audit', '--policy', file, imageOf('backing-chain')];
    const { code, stdout } = await qsnap(argv);
    expect(code).toBe(4);
    expect(stdout).toContain('was not followed, so this rule can not be judged');
  });
});

describe('--policy', () => {
  const policyFile = (text: string): string => {
    const file = path.join(temporaryDirectory(), 'policy.yaml');
    writeFileSync(file, text);
    return file;
  };

  test("rules of one's own win over a profile, with options and exceptions", async () => {
    const image = imageOf('five-snapshots');
    const file = policyFile(`extends: [golden-image]
rules:
  snapshots: { level: error, max: 3 }
  snapshot-names: { level: warning, deny: ["*migration"] }
exceptions:
  - rule: snapshots
    images: ["*five-snapshots*"]
    reason: the migration is not over
    until: 2999-12-31
`);
    const { code, stdout, stderr } = await qsnap(['audit', '--policy', file, image]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`${image}: 2 warnings (1 exception)\n`);
    expect(stdout).toContain('QS1103 snapshot-names: snapshot 3 "before database migration"');
    const found = await audited(['--policy', file, image]);
    expect(found.images[0]).toMatchObject({
      excepted: [{ rule: 'QS1101', reason: 'the migration is not over' }],
    });
  });

  test('mistakes are told with their places, and nothing is judged', async () => {
    const file = policyFile('rules:\n  snapshot: error\n  vm-state: eror\n');
    const { code, stdout, stderr } = await qsnap(['audit', '--policy', file, imageOf('dirty')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${file}:2:3: `);
    expect(stderr).toContain('did you mean "snapshots"?');
    expect(stderr).toContain(`${file}:3:13: `);
  });

  test('--print-policy prints a file that says the same as the profile', async () => {
    const printed = await qsnap(['audit', '--profile', 'golden-image', '--print-policy']);
    expect(printed.code).toBe(0);
    const file = policyFile(printed.stdout);
    const images = ['five-snapshots', 'dirty', 'refcount-leaks'].map(imageOf);
    expect(await audited(['--policy', file, ...images])).toEqual(
      await audited(['--profile', 'golden-image', ...images]),
    );
  });

  test('the rule about files that are no images can be a warning, or off', async () => {
    const image = imageOf('qcow-version-1');
    for (const [level, code] of [
      ['warning', 0],
      ['off', 0],
      ['error', 4],
    ] as const) {
      const file = policyFile(`extends: [untrusted-upload]\nrules: { image: ${level} }\n`);
      expect((await qsnap(['audit', '--policy', file, image])).code).toBe(code);
    }
  });
});

test.each([
  ['sarif', '"version": "2.1.0"'],
  ['junit', '<testsuites name="qsnap audit" tests="1" failures="1"'],
  ['markdown', '| error | QS1101 snapshots |'],
  ['github', '::error file='],
  ['json', '"rule": "QS1101"'],
])('--format %s', async (format, shown) => {
  const argv = ['audit', '--profile', 'golden-image', '--format', format];
  const { code, stdout, stderr } = await qsnap([...argv, imageOf('five-snapshots')]);
  expect({ code, stderr }).toEqual({ code: 4, stderr: '' });
  expect(stdout).toContain(shown);
});

describe('--report', () => {
  const argv = ['audit', '--profile', 'golden-image'];

  test('writes other documents of the same audit, each as --format prints it', async () => {
    const folder = temporaryDirectory();
    const image = imageOf('five-snapshots');
    const formats = ['json', 'sarif', 'junit', 'markdown', 'github'];
    const reports = formats.map((format) => `${format}=${path.join(folder, `a=${format}`)}`);
    const options = reports.flatMap((report) => ['--report', report]);
    const ran = await qsnap([...argv, ...options, image]);
    expect(ran).toEqual(await qsnap([...argv, image]));
    for (const format of formats) {
      const { stdout } = await qsnap([...argv, '--format', format, image]);
      expect(readFileSync(path.join(folder, `a=${format}`), 'utf8')).toBe(stdout);
    }
    expect(readdirSync(folder)).toHaveLength(formats.length);
  });

  test('replaces no file, and says so before anything is judged', async () => {
    const image = imageOf('five-snapshots');
    const before = readFileSync(image);
    const free = path.join(temporaryDirectory(), 'free');
    const options = ['--report', `json=${free}`, '--report', `sarif=${image}`];
    const { code, stdout, stderr } = await qsnap([...argv, ...options, image]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(`qsnap: ${image} exists already\nhint: choose another name\n`);
    expect(readFileSync(image).equals(before)).toBe(true);
    expect(existsSync(free)).toBe(false);
  });

  test.each(['sarif', 'sarif=', 'text=x', 'xml=x', '=x', 'sarif=-'])('refuses %j', async (word) => {
    const { code, stderr } = await qsnap([...argv, '--report', word, 'x']);
    expect(code).toBe(1);
    expect(stderr).toContain('--report <format=file>');
  });
});

describe('rules', () => {
  test('ids ascend, names differ, and every profile names rules that there are', () => {
    const ids = AUDIT_RULES.map(({ id }) => id);
    expect(ids).toEqual([...ids].sort());
    expect(new Set(AUDIT_RULES.map(({ name }) => name)).size).toBe(ids.length);
    for (const profile of PROFILE_NAMES) {
      expect(ids).toEqual(expect.arrayContaining([...profileOf(profile).rules.keys()]));
    }
  });

  test.each(AUDIT_RULES.map((rule) => [rule.id, rule] as const))('%s', async (id, rule) => {
    const { remedy, example } = helpOfRule(rule);
    for (const text of [rule.title, example]) expect(text).not.toMatch(/\.$/);
    expect(example.startsWith(`${rule.name}:`)).toBe(true);
    expect(rule.reason).toMatch(/^[A-Z].*\.$/);
    // What is to be done is a command that there is.
    for (const [, command] of remedy.matchAll(/\bqsnap (\w+)/g)) {
      expect(COMMAND_NAMES).toContain(command);
    }
    const { code, stdout } = await qsnap(['audit', '--explain', id]);
    expect(code).toBe(0);
    expect(stdout).toBe(`${ruleLines(rule).join('\n')}\n`);
    const { stdout: json } = await qsnap(['audit', '--json', '--explain', rule.name]);
    expect(parsed('audit', json)).toMatchObject({ rules: [{ id, name: rule.name }] });
  });

  test('docs/audit.md says of every rule what the program says', async () => {
    const page = fileURLToPath(new URL('../../../docs/audit.md', import.meta.url));
    const text = AUDIT_RULES.map((rule) => {
      const options = optionLines(rule);
      const { remedy, example } = helpOfRule(rule);
      const fix = safeRemedyOf(rule);
      const profiles = PROFILE_NAMES.flatMap((name) => {
        const level = profileOf(name).rules.get(rule.id)?.level;
        return level === undefined ? [] : [`${name} (${level})`];
      });
      return [
        `### ${rule.id} ${rule.name}`,
        '',
        `${rule.title}.`,
        '',
        `- Why: ${rule.reason}`,
        `- What to do: ${remedy}`,
        ...(fix === undefined ? [] : [`- Mended by --fix: ${fix.does}`]),
        `- In a policy: \`${example}\``,
        `- In profiles: ${profiles.length === 0 ? 'none' : profiles.join(', ')}`,
        ...options.map((line) => `- Option ${line}`),
      ].join('\n');
    }).join('\n\n');
    await expect(`${HEAD}\n${text}\n`).toMatchFileSnapshot(page);
  });
});

const HEAD = `# Rules of an audit

What \`qsnap audit\` judges images by. A rule has an id, a name and a level, which a profile or a policy sets: \`error\`
fails the gate, \`warning\` and \`note\` are told. Ids are for programs and never used again for something else. A test
holds this page to what the program says, and judges two images of QEMU's by each rule: one that breaks it and one that
keeps it. Nothing is decrypted, and no file that an image names is opened without \`--backing\`.
`;
