/** The programs of docs/api.md and of the README run as they stand, with the package as others import it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { expect, test } from 'vitest';
import { checkImage } from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { copyCompanions, loadFixture } from '../support/fixture.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Program {
  readonly name: string;
  readonly code: string;
  /** What the page says that it prints. */
  readonly prints: string | undefined;
}

/** The blocks of a page, each with the output that follows it. */
function programsOf(page: string, text: string): readonly Program[] {
  const blocks = text.matchAll(/```ts\n([^]*?)```\n(?:\n```text\n([^]*?)```\n)?/g);
  return [...blocks].map(([, code, prints], i) => ({
    name: `${page}, program ${i + 1}`,
    code: code!,
    prints,
  }));
}

const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const inCode = readme.slice(readme.indexOf('\n## In code'), readme.indexOf('\n### In a browser'));
const PROGRAMS = [
  ...programsOf('docs/api.md', readFileSync(path.join(ROOT, 'docs/api.md'), 'utf8')),
  ...programsOf('README.md', inCode),
];

test('the pages have programs', () => {
  expect(PROGRAMS.length).toBeGreaterThan(8);
});

test.each(PROGRAMS)('$name', async ({ code, prints }) => {
  const folder = temporaryDirectory();
  // A link, so that the name leads to the build by the package's own `exports`.
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(ROOT, path.join(folder, 'node_modules/qsnap'), 'junction');
  const image = path.join(folder, 'disk.qcow2');
  writeFileSync(image, loadFixture('five-snapshots'));
  writeFileSync(path.join(folder, 'saved.qcow2'), loadFixture('vm-state'));
  writeFileSync(path.join(folder, 'secret.qcow2'), loadFixture('luks'));
  writeFileSync(path.join(folder, 'damaged.qcow2'), loadFixture('refcount-too-low'));
  writeFileSync(path.join(folder, 'overlay.qcow2'), loadFixture('backing-chain'));
  copyCompanions('backing-chain', folder);
  const plain = transformSync(code, { loader: 'ts', format: 'esm', target: 'node20' }).code;
  writeFileSync(path.join(folder, 'program.mjs'), plain);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  if (prints !== undefined) expect(stdout).toBe(prints);
  await expectSound(image);
  // What a program makes is an image, too.
  for (const made of ['old.qcow2', 'rescued.qcow2']) {
    const file = path.join(folder, made);
    if (existsSync(file)) await expectSound(file);
  }
  if (code.includes("'damaged.qcow2', { write: true }")) {
    await expectSound(path.join(folder, 'damaged.qcow2'));
  }
});

async function expectSound(file: string): Promise<void> {
  const source = await openFile(file);
  const { findings } = await checkImage(source);
  await source.close();
  expect(findings).toEqual([]);
}
