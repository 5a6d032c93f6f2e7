import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DIFFERENCES, ON_DISK_DIFFERENCES, differenceNames } from './parity-differences.js';

const DOCUMENT = readFileSync(new URL('../../docs/parity.md', import.meta.url), 'utf8');

/** Rows of the table of differences: `| \`name\` | … | [Ours] |`. */
function documented(): { name: string; label: string }[] {
  const rows = DOCUMENT.matchAll(/^\| `([a-z0-9-]+)` +\|.*\| (\[\w+\]) *\|$/gm);
  return [...rows].map(([, name, label]) => ({ name: name!, label: label! }));
}

test('every difference that the tests know is explained, and no other', () => {
  const names = documented().map(({ name }) => name);
  expect(names.toSorted()).toEqual(differenceNames());
});

test('every difference says whose behaviour it is', () => {
  for (const { name, label } of documented()) expect(label, name).toMatch(/^\[(Spec|QEMU|Ours)\]$/);
});

test('every difference that two runs can show is shown by a test', () => {
  const folder = new URL('./', import.meta.url);
  const tests = readdirSync(folder).filter((file) => /^parity-.*\.test\.ts$/.test(file));
  const text = tests.map((file) => readFileSync(new URL(file, folder), 'utf8')).join('\n');
  for (const name of [...Object.keys(DIFFERENCES), ...ON_DISK_DIFFERENCES]) {
    expect(text.includes(`'${name}'`), name).toBe(true);
  }
});
