/** What `convert` reads, and that it must never write there. */
import { lockedText } from '../messages/convert.js';
import type { Refusal } from '../refusal.js';
import type { SourceDisk } from '../disks/source-disk.js';

export interface ConvertInput {
  readonly sources: readonly SourceDisk[];
  /** Of all sources together. */
  readonly diskBytes: number;
}

/**
 * An output that is one of the files that are read would destroy what is being copied. QEMU's locks
 * say so too, but not where there are no locks (`-U`). What is read is known by the open files.
 *
 * @param identity of the file that is written to; undefined where there is none yet.
 * @throws Refusal.
 */
export async function refuseInputs(
  shown: string,
  identity: string | undefined,
  { sources }: ConvertInput,
  fail: (reason: string) => Refusal,
): Promise<void> {
  if (identity === undefined) return;
  const disks = sources.flatMap(({ disk }) => [disk, ...disk.chain]);
  for (const file of disks.flatMap((disk) => disk.sources)) {
    if ((await file.identity?.()) === identity) throw fail(lockedText(shown));
  }
}
