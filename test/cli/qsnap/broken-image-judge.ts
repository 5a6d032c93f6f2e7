/** What must be so of any broken image: an edit is refused, and a repair frees nothing that a guest wrote. */
import { readFileSync, statSync } from 'node:fs';
import { expect } from 'vitest';
import { patterns } from '../../support/broken-images.js';
import { expectSound, parsed, qsnap, type Ran } from './harness.js';

interface Checked {
  readonly code: number;
  /** Codes of the findings, each once, sorted. */
  readonly codes: readonly string[];
}

/** How `qsnap check` ends, and what it finds. */
export async function checked(image: string): Promise<Checked> {
  const { code, stdout } = await qsnap(['--json', 'check', image]);
  // A schema takes its time over thousands of findings, which are all alike.
  const document: unknown = stdout.length < 64_000 ? parsed('check', stdout) : JSON.parse(stdout);
  const { images } = document as {
    images: [{ findings?: readonly { code: string }[]; error?: { code: string } }];
  };
  const [{ findings = [], error }] = images;
  const codes = error === undefined ? findings.map((one) => one.code) : [error.code];
  return { code, codes: [...new Set(codes)].sort() };
}

/** Runs a command that has to be refused for the damage, and to leave every byte. */
export async function expectRefused(image: string, argv: readonly string[]): Promise<Ran> {
  const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
  const ran = await qsnap(['--json', ...argv]);
  expect(ran.code, argv.join(' ')).toBe(1);
  const { error } = JSON.parse(ran.stdout) as { error: Record<string, string> };
  expect(error).toMatchObject({ kind: 'image', 'image-state': 'unchanged' });
  expect(ran.stderr).toMatch(/\nThe image is unchanged\.\n$/);
  expect(readFileSync(image).equals(before.bytes)).toBe(true);
  expect(statSync(image).mtimeMs).toBe(before.mtime);
  return ran;
}

/** Edits refuse the image, a dry run as the edit itself. */
export async function expectNoEdits(image: string): Promise<void> {
  const create = await expectRefused(image, ['create', image, 'new']);
  const foretold = await expectRefused(image, ['create', '--dry-run', image, 'new']);
  expect(foretold.stdout).toBe(create.stdout);
  await expectRefused(image, ['delete', image, '#0']);
}

export interface Repaired extends Checked {
  readonly stdout: string;
  readonly stderr: string;
  /** Of the check afterwards. */
  readonly then: Checked;
}

/**
 * Repairs the image. Whatever comes of it, what a guest wrote and counted as used does so afterwards, and
 * has its bytes; a refused repair changed nothing; and what is still wrong is said and found again.
 */
export async function repaired(image: string, ...words: readonly string[]): Promise<Repaired> {
  const before = new Uint8Array(readFileSync(image));
  const first = await checked(image);
  const { code, stdout, stderr } = await qsnap(['repair', image, ...words]);
  const after = new Uint8Array(readFileSync(image));
  if (code === 1) {
    expect(Buffer.compare(after, before)).toBe(0);
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
  }
  const kept = patterns(after);
  expect([...patterns(before)].filter(([at, byte]) => kept.get(at) !== byte)).toEqual([]);
  const then = await checked(image);
  // A full check of what was written: it says what the repair said.
  if (code !== 1) expect(then.code).toBe(code);
  if (code === 0) await expectSound(image);
  else if (code === 2) expect(stdout).toContain('\nStill wrong: ');
  return { code, codes: first.codes, stdout, stderr, then };
}
