/** Runs `qsnap` inside the test's process, on copies of fixtures, and checks what it printed. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { run } from '../../../src/cli/qsnap/run.js';
import type { CliOutput } from '../../../src/cli/streams.js';
import { copyFixture } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { expectClean, judgedByQemu } from '../../support/qemu.js';
import { uninterrupted } from '../../../src/cli/interruption.js';

process.env['TZ'] = 'UTC';

/** The moment at which every command of these tests is given. */
export const NOW = new Date('2026-11-22T14:03:12.345Z');

export interface RunOptions {
  /** Both streams are terminals. */
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly argumentsAreExact?: boolean;
  /** What a person at the terminal types; without it there is nobody. */
  readonly answer?: string;
  /** Happens when something was printed. */
  readonly onPrinted?: () => void;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function recorder(isTerminal: boolean, onPrinted?: () => void): CliOutput & { text: string } {
  return {
    isTerminal,
    text: '',
    write(text) {
      this.text += typeof text === 'string' ? text : new TextDecoder().decode(text);
      onPrinted?.();
    },
  };
}

/** `qsnap ARGV…` with streams in memory. */
export async function qsnap(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { answer } = options;
  const stdout = recorder(options.terminal === true, options.onPrinted);
  const stderr = recorder(options.terminal === true);
  const code = await run(argv, {
    stdout,
    stderr,
    env: options.env ?? {},
    now: () => NOW,
    interruptible: uninterrupted,
    ask:
      answer === undefined
        ? undefined
        : (question) => {
            stderr.write(question);
            return Promise.resolve(answer);
          },
    argumentsAreExact: () => options.argumentsAreExact ?? true,
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Path of a fresh copy of a fixture that goes away with the test. */
export function imageOf(fixture: string): string {
  return copyFixture(fixture, temporaryDirectory());
}

/** Output with the throw-away folder taken out of it. */
export function shown(text: string, image: string): string {
  return text.replaceAll(image, image.replace(/^.*\//, ''));
}

/** A full check of an image that was edited: by the audit before every edit, and by QEMU. */
export async function expectSound(image: string): Promise<void> {
  const planned = await qsnap(['create', '--dry-run', image, 'a name that nobody uses']);
  expect(planned.stderr).toBe('');
  expect(planned.code).toBe(0);
  await judgedByQemu(() => expectClean(image));
}

const SCHEMAS = [
  ...([
    'snapshot',
    'error',
    'unread',
    'salvage-map',
    'info',
    'list',
    'show',
    'check',
    'map',
    'usage',
    'tree',
    'timeline',
    'hash',
    'prune',
    'audit',
    'dump',
    'locate',
  ] as const),
  ...(['group-edit', 'group-list', 'catalog-query', 'vmstate'] as const),
  ...(['scan', 'recover', 'edit', 'repair', 'rescue', 'undo', 'compact', 'dehydrate'] as const),
  ...(['trim', 'scrub'] as const),
  ...(['manifest', 'export', 'compare', 'diff', 'changed-blocks', 'evidence'] as const),
];
const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
for (const name of SCHEMAS) {
  const file = new URL(`../../../docs/schema/${name}.json`, import.meta.url);
  ajv.addSchema(JSON.parse(readFileSync(fileURLToPath(file), 'utf8')) as object);
}

/** Parses what `--json` printed and holds it to its documented shape. */
export function parsed(schema: (typeof SCHEMAS)[number], text: string): unknown {
  const document: unknown = JSON.parse(text);
  const validate = ajv.getSchema(`${schema}.json`)!;
  const valid = validate(document);
  expect(valid ? [] : validate.errors, text).toEqual([]);
  return document;
}
