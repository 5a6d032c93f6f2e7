/**
 * What is offered to CI systems: each script as it is, run by a shell with what the system gives it, on images of which
 * one breaks a rule. In place of npx, which would fetch qsnap, there is one that runs what was built.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import manifest from '../../../package.json' with { type: 'json' };
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';

const textOf = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8');
const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));

interface Job {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

let job: Job;

/** The folder of a job with images, and an npx that takes one version of one program. */
beforeEach(() => {
  const folder = temporaryDirectory();
  const programs = temporaryDirectory();
  const stub = [
    '#!/bin/sh',
    `[ "$1 $2" = '--yes qsnap@${manifest.version}' ] || { echo "npx $*" >&2; exit 99; }`,
    `shift 2; exec '${process.execPath}' '${BIN}' "$@"`,
  ];
  writeFileSync(path.join(programs, 'npx'), `${stub.join('\n')}\n`, { mode: 0o755 });
  mkdirSync(path.join(folder, 'images/deep er'), { recursive: true });
  writeFileSync(path.join(folder, 'good.qcow2'), loadFixture('no-snapshots'));
  writeFileSync(path.join(folder, 'images/bad.qcow2'), loadFixture('five-snapshots'));
  writeFileSync(path.join(folder, 'images/deep er/good.qcow2'), loadFixture('no-snapshots'));
  job = { folder, env: { PATH: `${programs}:${process.env['PATH']!}` } };
});

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runShell(argv: readonly string[], env: Readonly<Record<string, string>>): Ran {
  const options = { cwd: job.folder, env: { ...job.env, ...env }, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(argv[0]!, argv.slice(1), options);
  return { status, stdout, stderr };
}

describe('the GitHub action', () => {
  const action = parse(textOf('docs/ci/github-action/action.yml')) as {
    readonly inputs: Readonly<Record<string, { readonly default?: string; required?: boolean }>>;
    readonly outputs: Readonly<Record<string, { readonly value: string }>>;
    readonly runs: { readonly using: string; readonly steps: readonly Step[] };
  };
  interface Step {
    readonly id: string;
    readonly shell: string;
    readonly run: string;
    readonly env: Readonly<Record<string, string>>;
  }

  interface Done extends Ran {
    readonly outputs: Readonly<Record<string, string>>;
    readonly summary: string;
  }

  /** The one step, as a runner does it. */
  function runAction(given: Readonly<Record<string, string>>): Done {
    const [step] = action.runs.steps;
    const inputs = Object.entries(action.inputs).map(([name, input]) => {
      return [name, given[name] ?? input.default ?? ''] as const;
    });
    const known = new Map(inputs);
    const env = Object.entries(step!.env).map(([name, value]) => {
      const [, input] = /^\$\{\{ inputs\.([\w-]+) \}\}$/.exec(value)!;
      return [name, known.get(input!)!] as const;
    });
    const [script, output, summary] = ['script.sh', 'output', 'summary'].map((name) =>
      path.join(temporaryDirectory(), name),
    );
    writeFileSync(script!, step!.run);
    writeFileSync(output!, '');
    writeFileSync(summary!, '');
    const ran = runShell(['bash', '--noprofile', '--norc', '-e', '-o', 'pipefail', script!], {
      ...Object.fromEntries(env),
      ...{
        GITHUB_OUTPUT: output!,
        GITHUB_STEP_SUMMARY: summary!,
        RUNNER_TEMP: temporaryDirectory(),
      },
    });
    const lines = readFileSync(output!, 'utf8').split('\n').slice(0, -1);
    const outputs = Object.fromEntries(lines.map((line) => line.split('=') as [string, string]));
    return { ...ran, outputs, summary: readFileSync(summary!, 'utf8') };
  }

  test('is one step of a shell, to which inputs come as variables', () => {
    const { using, steps } = action.runs;
    expect({ using, steps: steps.length, shell: steps[0]!.shell }).toEqual({
      ...{ using: 'composite', steps: 1, shell: 'bash' },
    });
    expect(steps[0]!.run).not.toContain('${{');
    const used = Object.values(steps[0]!.env).map((value) => /inputs\.([\w-]+)/.exec(value)![1]);
    expect(used.toSorted()).toEqual(Object.keys(action.inputs).toSorted());
    for (const [name, { value }] of Object.entries(action.outputs)) {
      expect(value).toBe(`\${{ steps.${steps[0]!.id}.outputs.${name} }}`);
    }
    expect(action.inputs['version']!.default).toBe(manifest.version);
  });

  test('annotates, sums up, writes SARIF, and fails as the audit does', () => {
    const images = '  images/**/*.qcow2  \n\ngood.qcow2\n';
    const { status, stdout, stderr, outputs, summary } = runAction({
      images,
      profile: 'golden-image',
    });
    expect({ status, stderr, code: outputs['exit-code'] }).toEqual({
      status: 4,
      stderr: '',
      code: '4',
    });
    expect(stdout).toMatch(/^::error file=images\/bad\.qcow2,title=QS1101 snapshots::[^\n]*\n$/);
    expect(summary).toContain('| error | QS1101 snapshots |');
    const sarif = JSON.parse(readFileSync(outputs['sarif']!, 'utf8')) as {
      readonly runs: readonly { readonly results: readonly unknown[] }[];
    };
    expect(sarif.runs[0]!.results).toHaveLength(1);
  });

  test('passes where all is as it should be', () => {
    const done = runAction({ images: 'images/deep er/*.qcow2', profile: 'golden-image, evidence' });
    expect(done).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
      outputs: { 'exit-code': '0' },
    });
    expect(done.summary).not.toBe('');
  });

  test('takes a policy, a baseline, readers and a level', () => {
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(job.folder, name), text);
      return name;
    };
    const images = 'images/bad.qcow2';
    const policy = file('a policy.yaml', 'rules: { snapshots: warning }\n');
    expect(runAction({ images, policy }).status).toBe(0);
    expect(runAction({ images, policy, 'fail-on': 'warning' }).status).toBe(4);
    const known = runShell(
      ['npx', '--yes', `qsnap@${manifest.version}`, 'audit', '--json', '--policy', policy, images],
      {},
    );
    const baseline = file('baseline.json', known.stdout);
    expect(runAction({ images, policy, baseline, 'fail-on': 'warning' }).status).toBe(0);
    expect(runAction({ images, 'readable-by': 'nbdkit' }).status).toBe(4);
  });

  test.each([
    [{ images: '*.raw', profile: 'evidence' }, '::error title=qsnap audit::the input "images" '],
    [{ images: ' \n ', profile: 'evidence' }, '::error title=qsnap audit::the input "images" '],
    [{ images: 'x', version: '$(id)' }, '::error title=qsnap audit::the input "version" '],
    [{ images: 'good.qcow2', profile: 'strict' }, 'Write untrusted-upload'],
    [{ images: 'good.qcow2', 'fail-on': '' }, '--fail-on'],
    [{ images: 'good.qcow2' }, 'say what images are to be like'],
  ])('fails with %j', (inputs, said) => {
    const { status, stdout } = runAction(inputs);
    expect(status).toBe(1);
    expect(stdout).toContain(said);
  });

  test('runs nothing that is in an input or in the name of an image', () => {
    const evil = '$(touch ran)`touch ran`;touch ran;"\'';
    const name = `--policy=x ${evil.replaceAll('/', '')}.qcow2`;
    writeFileSync(path.join(job.folder, name), loadFixture('five-snapshots'));
    writeFileSync(path.join(job.folder, '::set-output name=x::y.qcow2'), 'no image at all');
    const { status, stdout } = runAction({ images: '*.qcow2', profile: 'golden-image' });
    expect(status).toBe(4);
    expect(stdout.split('\n').filter((line) => line.startsWith('::error'))).toHaveLength(2);
    for (const input of Object.keys(action.inputs)) {
      expect(runAction({ images: 'good.qcow2', profile: 'evidence', [input]: evil }).status).toBe(
        1,
      );
    }
    expect(readdirSync(job.folder)).not.toContain('ran');
  });

  test('what is said on stderr is no command to the runner', () => {
    writeFileSync(path.join(job.folder, '##[add-matcher]x'), '');
    mkdirSync(path.join(job.folder, '::warning::x'));
    const { status, stdout } = runAction({ images: '*x', profile: 'evidence' });
    expect(status).toBe(1);
    const [, token, between] = /^::stop-commands::(\S+)\n([^]*)^::\1::$/m.exec(stdout)!;
    expect(token).toMatch(/^qsnap-\w{10}-\d+$/);
    expect(between).toContain('::warning::x');
  });
});

describe('the GitLab template', () => {
  const template = parse(textOf('docs/ci/gitlab.yml')) as Readonly<
    Record<
      string,
      {
        readonly variables: Readonly<Record<string, string>>;
        readonly script: readonly string[];
        readonly artifacts: { readonly reports: { readonly junit: string } };
      }
    >
  >;
  const { variables, script, artifacts } = template['qsnap-audit']!;

  function runJob(given: Readonly<Record<string, string>> = {}): Ran & { readonly junit: string } {
    // A runner puts all lines into one script, which the first failure ends.
    const ran = runShell(['sh', '-e', '-c', script.join('\n')], { ...variables, ...given });
    return { ...ran, junit: readFileSync(path.join(job.folder, artifacts.reports.junit), 'utf8') };
  }

  test('takes the version of this release', () => {
    expect(variables['QSNAP_VERSION']).toBe(manifest.version);
  });

  test('judges the images that there are, and leaves a report also where it fails', () => {
    expect(runJob()).toMatchObject({ status: 0, stderr: '', stdout: 'good.qcow2: passes\n' });
    const failed = runJob({ QSNAP_IMAGES: '*.qcow2 images/*.qcow2' });
    expect(failed).toMatchObject({ status: 4, stderr: '' });
    expect(failed.junit).toContain('<testsuites name="qsnap audit" tests="2" failures="1"');
  });

  test('takes other options, and runs nothing that is in a variable', () => {
    const options = { QSNAP_OPTIONS: '--profile golden-image --fail-on note' };
    expect(runJob({ ...options, QSNAP_IMAGES: '$(touch${IFS}ran) `id`' }).status).toBe(1);
    expect(readdirSync(job.folder)).not.toContain('ran');
  });
});

describe('hooks of pre-commit', () => {
  const hooks = parse(textOf('.pre-commit-hooks.yaml')) as readonly {
    readonly id: string;
    readonly entry: string;
    readonly args: readonly string[];
    readonly language: string;
    readonly files?: string;
    readonly pass_filenames?: boolean;
  }[];

  /** The entry, its arguments, and the files whose names fit. */
  function runHook(id: string, files: readonly string[]): Ran {
    const hook = hooks.find((one) => one.id === id)!;
    const [program, ...words] = hook.entry.split(' ');
    expect({ program, language: hook.language }).toEqual({ program: 'qsnap', language: 'node' });
    const fitting = files.filter((file) => new RegExp(hook.files ?? '').test(file));
    const names = hook.pass_filenames === false ? [] : fitting;
    return runShell([process.execPath, BIN, ...words, ...hook.args, ...names], {});
  }

  test('judges the files that it is given', () => {
    const files = ['good.qcow2', 'README.md'];
    expect(runHook('qsnap-audit', files)).toMatchObject({
      status: 0,
      stdout: 'good.qcow2: passes\n',
    });
    expect(runHook('qsnap-audit', [...files, 'images/bad.qcow2']).status).toBe(4);
  });

  test('takes the name of no file for an option', () => {
    const name = '--profile=evidence.qcow2';
    writeFileSync(path.join(job.folder, name), loadFixture('five-snapshots'));
    const { status, stdout } = runHook('qsnap-audit', [name]);
    expect({ status, first: stdout.split('\n')[0] }).toEqual({
      status: 4,
      first: `${name}: 1 error`,
    });
  });

  test('judges what is staged', () => {
    expect(runShell(['git', 'init', '-q'], {}).status).toBe(0);
    expect(runHook('qsnap-audit-staged', []).stdout).toBe('No qcow2 image is staged.\n');
    expect(runShell(['git', 'add', 'images'], {}).status).toBe(0);
    expect(runHook('qsnap-audit-staged', ['README.md']).status).toBe(4);
  });
});
