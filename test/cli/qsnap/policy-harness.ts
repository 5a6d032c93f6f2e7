/** Policy files in folders of their own, and what the command line prints of them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { contextOf } from '../../../src/cli/qsnap/context.js';
import { readPolicy, type ReadPolicy } from '../../../src/cli/qsnap/policy/read-policy.js';
import { reportPolicyError, warnOfPolicy } from '../../../src/cli/qsnap/policy/report-policy.js';
import { uninterrupted } from '../../../src/cli/interruption.js';
import { temporaryDirectory } from '../../support/directories.js';
import { NOW } from './harness.js';

export const SECONDS = NOW.getTime() / 1000;
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** The path of "policy.yaml" among files in a folder of their own. */
export function written(files: Files | string): string {
  const folder = temporaryDirectory();
  const all = typeof files === 'string' ? { 'policy.yaml': files } : files;
  for (const [name, content] of Object.entries(all)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
  return path.join(folder, 'policy.yaml');
}

/** Reads the policy among files. */
export function read(files: Files | string): Promise<ReadPolicy> {
  return readPolicy(written(files), SECONDS);
}

/** What the command line prints on both streams of what becomes of a policy. */
export async function printed(
  file: string,
  json = false,
): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTerminal: false,
    write: (more: string | Uint8Array) => void (text[name] += String(more)),
  });
  const io = {
    ...{ stdout: stream('stdout'), stderr: stream('stderr'), env: {}, now: () => NOW },
    ...{ interruptible: uninterrupted, argumentsAreExact: () => true },
  };
  const context = contextOf(io, { json, color: true });
  try {
    warnOfPolicy((await readPolicy(file, SECONDS)).warnings, context);
  } catch (error) {
    reportPolicyError(error, context);
  }
  return text;
}

/** The lines that say what is wrong, without the folder. */
export async function mistakesIn(files: Files | string): Promise<readonly string[]> {
  const file = written(files);
  const folder = path.dirname(file) + path.sep;
  const { stderr } = await printed(file);
  return stderr.replaceAll(folder, '').trimEnd().split('\n');
}
