/** Policy files: what they say, alone and together. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { contextOf } from '../../../src/cli/qsnap/context.js';
import { readPolicy } from '../../../src/cli/qsnap/policy/read-policy.js';
import { reportPolicyError } from '../../../src/cli/qsnap/policy/report-policy.js';
import { profileOf } from '../../../src/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { parsed } from './harness.js';
import { mistakesIn, printed, read, SECONDS, written, type Files } from './policy-harness.js';

const settingsOf = async (files: Files | string) =>
  Object.fromEntries((await read(files)).policy.rules);

describe('a policy file', () => {
  test('is what the rules and exceptions in it say', async () => {
    const { policy, warnings } = await read(`
# Uploads
rules:
  snapshots: error            # by name
  QS1102: warning             # by id
  disk-size: { level: error, min: 64k, max: 2T }
  snapshot-age: { level: note, max: 30d }
  snapshot-names:
    level: warning
    deny: ["tmp-*", old]
  compat: { level: error, allow: [0.10, "1.1"] }
  leaks: off
exceptions:
  - rule: vm-state
    images: ["legacy/*.qcow2"]
    reason: templates are rebuilt in January
    until: 2026-12-31
  - { rule: QS1101, reason: "all", until: 2027-01-01 }
`);
    expect(warnings).toEqual([]);
    expect(Object.fromEntries(policy.rules)).toEqual({
      QS1101: { level: 'error', options: {} },
      QS1102: { level: 'warning', options: {} },
      QS1401: { level: 'error', options: { min: 65536, max: 2 * 2 ** 40 } },
      QS1104: { level: 'note', options: { max: 30 * 86_400 } },
      QS1103: { level: 'warning', options: { deny: ['tmp-*', 'old'] } },
      QS1305: { level: 'error', options: { allow: ['0.10', '1.1'] } },
      QS1602: { level: undefined, options: {} },
    });
    expect(policy.exceptions).toEqual([
      {
        rule: 'QS1102',
        images: ['legacy/*.qcow2'],
        reason: 'templates are rebuilt in January',
        until: Date.parse('2027-01-01T00:00:00Z') / 1000,
      },
      {
        ...{ rule: 'QS1101', images: undefined, reason: 'all' },
        until: Date.parse('2027-01-02T00:00:00Z') / 1000,
      },
    ]);
  });

  test('may be JSON, begin with a byte order mark, and have anchors and parts without content', async () => {
    const off = { QS1101: { level: 'error', options: { max: 3 } } };
    expect(
      await settingsOf('{"$schema": "x", "rules": {"snapshots": {"level": "error", "max": 3}}}'),
    ).toEqual(off);
    expect(await settingsOf('\ufeffrules: { snapshots: { level: error, max: 3 } }\r\n')).toEqual(
      off,
    );
    expect(
      await settingsOf(
        'rules:\n  disk-size: &it { level: note, max: 1P }\n  file-size: *it\nexceptions:\nextends: null\n',
      ),
    ).toEqual({
      QS1401: { level: 'note', options: { max: 2 ** 50 } },
      QS1402: { level: 'note', options: { max: 2 ** 50 } },
    });
  });

  test('says a text as it is written, whatever YAML calls it', async () => {
    const { policy } = await read(`%YAML 1.1
---
rules: { snapshots: error, "leaks": "off", refcount-bits: { level: note, allow: [16, "32"] } }
exceptions: [{ rule: snapshots, images: [yes, 010, "a\\u0000\\ud83d\\ude00"], reason: 1e3, until: "2026-12-31" }]
`);
    expect(policy.exceptions[0]).toMatchObject({ images: ['yes', '010', 'a\0😀'], reason: '1e3' });
    expect(policy.rules.get('QS1307')).toEqual({ level: 'note', options: { allow: ['16', '32'] } });
  });
});

describe('extends', () => {
  const base = 'rules:\n  disk-size: { level: error, min: 1M, max: 2T }\n  leaks: error\n';

  test('later ones win, and the file over all; a level alone keeps the options', async () => {
    const files = {
      'policy.yaml':
        'extends: [host-backup, ./base.yaml, ./more/top.yaml]\nrules:\n  disk-size: warning\n  dirty: off\n',
      'base.yaml': base,
      'more/top.yaml': 'extends: [../other.yaml]\nrules: { leaks: note }\n',
      'other.yaml': 'rules: { leaks: off, file-size: { level: error, max: 1G } }\n',
    };
    const settings = await settingsOf(files);
    expect(settings).toMatchObject({
      QS1401: { level: 'warning', options: { min: 2 ** 20, max: 2 * 2 ** 40 } },
      QS1402: { level: 'error', options: { max: 2 ** 30 } },
      QS1602: { level: 'note', options: {} },
    });
    const profile = profileOf('host-backup').rules;
    expect(settings['QS1601']).toEqual(profile.get('QS1601'));
    const last = settingsOf({ ...files, 'policy.yaml': 'extends: [./base.yaml, host-backup]' });
    expect((await last)['QS1602']).toEqual(profile.get('QS1602'));
  });

  test('options in the file stand for all options that it extends', async () => {
    const files = {
      'policy.yaml': 'extends: [./base.yaml]\nrules: { disk-size: { level: note, max: 1T } }',
      'base.yaml': base,
    };
    expect((await settingsOf(files))['QS1401']).toEqual({
      level: 'note',
      options: { max: 2 ** 40 },
    });
  });

  test('exceptions add up, once where a file is reached on two ways', async () => {
    const one = (why: string): string =>
      `exceptions: [{ rule: leaks, reason: ${why}, until: 2026-12-31 }]\n`;
    const { policy } = await read({
      'policy.yaml': `extends: [./a.yaml, ./b.yaml]\n${one('own')}`,
      'a.yaml': `extends: [./base.yaml]\n${one('a')}`,
      'b.yaml': `extends: [./base.yaml]\n${one('b')}`,
      'base.yaml': base + one('base'),
    });
    expect(policy.exceptions.map(({ reason }) => reason)).toEqual(['base', 'a', 'b', 'own']);
  });

  test('16 files may extend one another, and links lead to files', async () => {
    const chain = (length: number): Files =>
      Object.fromEntries(
        Array.from({ length }, (_, i) => [
          i === 0 ? 'policy.yaml' : `${i}.yaml`,
          i === length - 1 ? base : `extends: [./${i + 1}.yaml]`,
        ]),
      );
    expect((await read(chain(16))).policy.rules.size).toBe(2);
    expect(await mistakesIn(chain(17))).toEqual([
      'qsnap: policy.yaml is no policy: 1 mistake',
      '15.yaml:1:11: "./16.yaml" is file 17 in a row of files that extend one another; 16 are allowed',
    ]);
    const file = written({ 'policy.yaml': 'extends: [./link.yaml]', 'real.yaml': base });
    symlinkSync('real.yaml', path.join(path.dirname(file), 'link.yaml'));
    expect((await readPolicy(file, SECONDS)).policy.rules.size).toBe(2);
  });
});

describe('a mistake in files that are', () => {
  const told = async (files: Files): Promise<readonly string[]> =>
    (await mistakesIn(files)).slice(1);

  test('not UTF-8: the place of the first such byte', async () => {
    const bytes = (...parts: readonly (string | number)[]): Uint8Array =>
      Buffer.concat(
        parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
      );
    const message = 'this is not UTF-8; save the file as UTF-8';
    expect(await told({ 'policy.yaml': bytes('# \ufffd\n# é', 0xe9, '\n') })).toEqual([
      `policy.yaml:2:4: ${message}`,
    ]);
    expect(await told({ 'policy.yaml': bytes('rules: {}', 0xc3) })).toEqual([
      `policy.yaml:1:10: ${message}`,
    ]);
    expect(await told({ 'policy.yaml': Buffer.from('\ufeffrules: {}', 'utf16le') })).toEqual([
      `policy.yaml:1:1: ${message}`,
    ]);
    expect(await told({ 'policy.yaml': 'extends: [./b.yaml]', 'b.yaml': bytes(0xff) })).toEqual([
      `b.yaml:1:1: ${message}`,
    ]);
  });

  test('longer than any policy: up to 1 MiB is read', async () => {
    const long = (bytes: number): string => `rules: { leaks: error }\n#${' '.repeat(bytes - 25)}`;
    expect((await read(long(2 ** 20))).policy.rules.size).toBe(1);
    expect(await told({ 'policy.yaml': long(2 ** 20 + 1) })).toEqual([
      'policy.yaml: has more than 1048576 bytes, and no policy needs them',
    ]);
    expect(
      await told({ 'policy.yaml': 'extends: [./a.yaml]', 'a.yaml': long(2 ** 20 + 1) }),
    ).toEqual([
      'policy.yaml:1:11: "./a.yaml" has more than 1048576 bytes, and no policy needs them',
    ]);
  });

  test('not there, a folder, or a pipe that nobody writes to', async () => {
    const folder = temporaryDirectory();
    const of = async (name: string): Promise<string> =>
      (await printed(path.join(folder, name))).stderr.replaceAll(folder + path.sep, '');
    expect(await of('none')).toBe(
      "qsnap: none is no policy: 1 mistake\nnone: can't be read: ENOENT: no such file or directory, lstat 'none'\n",
    );
    mkdirSync(path.join(folder, 'folder'));
    expect(await of('folder')).toContain('\nfolder: is no regular file\n');
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    expect(await of('pipe')).toContain('\npipe: is no regular file\n');
    symlinkSync('link', path.join(folder, 'link'));
    expect(await of('link')).toContain("\nlink: can't be read: ELOOP");
  });

  test('extended: each of them in the file that has it, the loop where it closes', async () => {
    expect(
      await told({
        'policy.yaml': 'extends: [./a/b.yaml, ./a/../a/b.yaml]\nrules: { leeks: error }\n',
        'a/b.yaml': 'extends: [../policy.yaml]\nrules:\n  leaks: eror\n',
      }),
    ).toEqual([
      'policy.yaml:2:10: there is no rule "leeks"; did you mean "leaks"?',
      'a/b.yaml:3:10: the level of leaks is one of off, note, warning, error; found "eror"; did you mean "error"?',
      'a/b.yaml:1:11: "../policy.yaml" leads back to itself; no policy can extend itself',
      'policy.yaml:1:23: "./a/../a/b.yaml" is extended already, a second time changes nothing',
    ]);
  });

  test('full of aliases: a hundred are enough', async () => {
    const aliases = (count: number): string =>
      `exceptions: [&e { rule: leaks, reason: x, until: 2026-12-31 }${', *e'.repeat(count)}]\nrules: { leaks: note }\n`;
    expect((await read(aliases(100))).policy.exceptions.length).toBe(101);
    expect((await told({ 'policy.yaml': aliases(101) }))[0]).toBe(
      'policy.yaml:1:464: this is alias 101, and a policy may have 100',
    );
    const levels = Array.from({ length: 40 }, (_, i) => `  - &${i + 1} [*${i}, *${i}, *${i}]\n`);
    expect(
      await told({ 'policy.yaml': `exceptions:\n  - &0 [a, b]\n${levels.join('')}` }),
    ).toContain('policy.yaml:36:15: this is alias 101, and a policy may have 100');
  });

  test('deeper than any policy: told once, and not read on', async () => {
    for (const opening of ['[', '- ', '? ', '{a: ']) {
      const lines = await told({ 'policy.yaml': opening.repeat(40) });
      expect(lines.length, opening).toBe(1);
      expect(lines[0]).toMatch(/^policy.yaml:1:\d+: this lies deeper than anything in a policy$/);
    }
    expect(await told({ 'policy.yaml': `exceptions: ${'['.repeat(20)}${']'.repeat(20)}` })).toEqual(
      ['policy.yaml:1:14: an exception is a map with rule, reason and until; found a list'],
    );
  });

  test('more than anybody reads: a hundred are told', async () => {
    const lines = await told({
      'policy.yaml': Array.from({ length: 250 }, (_, i) => `k${i}: 1\n`).join(''),
    });
    expect(lines.length).toBe(101);
    expect(lines.at(-1)).toBe('and 150 more');
  });

  test('told to programs: documented, and the same', async () => {
    const file = written('rules:\n  leeks: error\n');
    const { stdout, stderr } = await printed(file, true);
    expect(stderr).toContain(':2:3: there is no rule "leeks"');
    const { error } = JSON.parse(stdout) as { error: object };
    expect(parsed('error', JSON.stringify(error))).toEqual({
      code: 'POLICY_INVALID',
      kind: 'request',
      message: `${file} is no policy: 1 mistake`,
      problems: [
        { file, line: 2, column: 3, message: 'there is no rule "leeks"; did you mean "leaks"?' },
      ],
    });
    const { stdout: none } = await printed(path.join(path.dirname(file), 'none'), true);
    parsed('error', JSON.stringify((JSON.parse(none) as { error: object }).error));
    expect(() => {
      reportPolicyError(new RangeError('a bug'), contextOf({} as never, { color: false }));
    }).toThrow(RangeError);
  });
});

describe('a warning', () => {
  const exceptions = (...lines: readonly string[]): string =>
    `rules: { leaks: error, slack: off }\nexceptions:\n${lines.map((line) => `  - ${line}\n`).join('')}`;

  test('of exceptions that are over: their last day counts', async () => {
    expect(
      await mistakesIn(
        exceptions(
          '{ rule: leaks, reason: x, until: 2026-11-22 }',
          '{ rule: leaks, reason: x, until: 2026-11-21 }',
          '{ rule: QS1602, reason: x, until: 2025-11-22 }',
        ),
      ),
    ).toEqual([
      'warning: policy.yaml:4:13: this exception from leaks ended on 2026-11-21, 1 day ago',
      'warning: policy.yaml:5:13: this exception from leaks ended on 2025-11-22, 365 days ago',
    ]);
  });

  test('of exceptions from rules that are off, here or altogether', async () => {
    expect(
      await mistakesIn(
        exceptions(
          '{ rule: slack, reason: x, until: 2026-12-31 }',
          '{ rule: dirty, reason: x, until: 2026-12-31 }',
        ),
      ),
    ).toEqual([
      'warning: policy.yaml:3:13: the rule slack is off, so that nothing is excepted from it',
      'warning: policy.yaml:4:13: the rule dirty is off, so that nothing is excepted from it',
    ]);
    const files = {
      'policy.yaml': 'extends: [./base.yaml]\nrules: { leaks: off, dirty: note }',
      'base.yaml': exceptions('{ rule: leaks, reason: x, until: 2026-12-31 }'),
    };
    expect(await mistakesIn(files)).toEqual([
      'warning: base.yaml:3:13: the rule leaks is off, so that nothing is excepted from it',
    ]);
  });

  test('of a rule that asks for nothing, wherever it was switched on', async () => {
    const files = {
      'policy.yaml':
        'extends: [./base.yaml]\nrules: { disk-size: error, file-size: off, QS1104: {level: note, max: 3d} }',
      'base.yaml':
        'rules:\n  readable-by: error\n  file-size: error\n  snapshot-names: { level: note, deny: ["a*"] }\n',
    };
    expect(await mistakesIn(files)).toEqual([
      'warning: base.yaml:2:3: the rule readable-by is on without readers, so that it asks for nothing',
      'warning: policy.yaml:2:10: the rule disk-size is on without min or max, so that it asks for nothing',
    ]);
    const bounded = 'extends: [untrusted-upload]\nrules: { disk-size: warning }';
    expect(await mistakesIn(bounded)).toEqual(['']);
  });

  test.each(['{}', 'rules:\n', 'rules: { leaks: off }'])(
    'of a policy without rules: %j',
    async (text) => {
      expect(await mistakesIn(text)).toEqual([
        'warning: policy.yaml: no rule is on, so that every image keeps this policy',
      ]);
    },
  );
});
