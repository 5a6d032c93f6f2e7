/** What `convert` reads, and that it must never write there. */
import { statSync } from 'node:fs';
import { lockedText } from './messages-convert.js';
import type { Refusal } from './refusal.js';
import type { SourceDisk } from './source-disk.js';

export interface ConvertInput {
  readonly sources: readonly SourceDisk[];
  /** Of all sources together. */
  readonly diskBytes: number;
}

/**
 * An output that is one of the files that are read would destroy what is being copied. QEMU's locks
 * say so too, but not where there are no locks (`-U`).
 *
 * @throws Refusal.
 */
export function refuseInputs(
  { shown, path }: { readonly shown: string; readonly path: string },
  { sources }: ConvertInput,
  fail: (reason: string) => Refusal,
): void {
  const output = identityOf(path);
  if (output === undefined) return;
  const disks = sources.flatMap(({ disk }) => [disk, ...disk.chain]);
  const files = new Set(disks.flatMap(({ label, dataLabel }) => [label, dataLabel]));
  for (const file of files) if (identityOf(file) === output) throw fail(lockedText(shown));
}

/** Device and number of a file; undefined where there is none. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
