import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { Contents, ExitCodes, Recipe } from '../../fixtures/recipe.js';

/** The folder that holds one folder per fixture. */
export const fixturesDirectory = fileURLToPath(new URL('../../fixtures/images/', import.meta.url));

/** Names of all fixtures, sorted: a new fixture is found by every suite without being listed. */
export function fixtureNames(): string[] {
  return readdirSync(fixturesDirectory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Path of a file in a fixture's folder, such as `recipe.json` or `expected/info.json`. */
export function fixturePath(name: string, file: string): string {
  return join(fixturesDirectory, name, file);
}

/** The image's bytes, unpacked; a fresh array each time, so a test may change it. */
export function loadFixture(name: string): Uint8Array {
  const plain = readIfPresent(fixturePath(name, 'image.qcow2'));
  if (plain !== undefined) return plain;
  const packed = readFileSync(fixturePath(name, 'image.qcow2.gz'));
  return new Uint8Array(gunzipSync(packed));
}

/** Writes an unpacked copy as `<name>.qcow2` into a folder that exists; returns its path. */
export function copyFixture(name: string, directory: string): string {
  const path = join(directory, `${name}.qcow2`);
  writeFileSync(path, loadFixture(name));
  return path;
}

/**
 * Writes the files that the image names (a backing file, a data file) into a folder under the
 * names that it gives them; returns those names. Only a test that means to open them calls this.
 */
export function copyCompanions(name: string, directory: string): readonly string[] {
  const names = recipe(name).companions ?? [];
  for (const file of names) {
    const packed = readFileSync(fixturePath(name, `companions/${file}.gz`));
    writeFileSync(join(directory, file), gunzipSync(packed));
  }
  return names;
}

/** What QEMU printed, as text: `info.txt`, `snapshot-l.txt`, `check.txt`, `map.txt`. */
export function expectedText(name: string, file: string): string {
  return readFileSync(fixturePath(name, `expected/${file}`), 'utf8');
}

/** The same as bytes: names need not be UTF-8, and QEMU prints them as they are. */
export function expectedBytes(name: string, file: string): Uint8Array {
  return new Uint8Array(readFileSync(fixturePath(name, `expected/${file}`)));
}

/** What QEMU printed, as JSON; null where that was none: `info.json`, `check.json`, `map.json`. */
export function expectedJson(name: string, file: string): unknown {
  return JSON.parse(expectedText(name, file));
}

/** How the image was made. */
export function recipe(name: string): Recipe {
  return JSON.parse(readFileSync(fixturePath(name, 'recipe.json'), 'utf8')) as Recipe;
}

/** SHA-256 of the guest content of the active disk and of each snapshot, as QEMU reads them. */
export function expectedContents(name: string): Contents {
  return expectedJson(name, 'contents.json') as Contents;
}

/** By expected file: the command that printed it, its exit code and its stderr. */
export function expectedExits(name: string): ExitCodes {
  return expectedJson(name, 'exit-codes.json') as ExitCodes;
}

function readIfPresent(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
