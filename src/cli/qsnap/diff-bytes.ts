/** What `diff` takes where bytes are compared or written, and not tables alone. */
import { openGuestDisk, type DiffContent, type GuestDisk } from '../../index.js';
import { equalBytes } from '../../node/index.js';
import type { Context } from './context.js';
import { openPatch, type Patch, type PatchFlags } from './diff-patch.js';
import { namedFiles } from './named-files.js';
import { filesOf, guestOptions, refuseWithoutBacking, type GuestFlags } from './guest-options.js';
import type { DiffSide } from './present/diff-totals.js';
import type { OpenedImage } from './reading.js';

/** What was opened for a diff. */
export interface DiffBytes {
  readonly content: DiffContent | undefined;
  readonly patch: Patch | undefined;
}

/** What is to be opened. */
export interface BytesRequest {
  readonly open: OpenedImage;
  readonly disks: readonly [DiffSide, DiffSide];
  readonly flags: GuestFlags & PatchFlags & { readonly content?: boolean };
  readonly context: Context;
}

/**
 * Opens both disks, begins the patch that is asked for, and closes them whatever happens.
 *
 * @throws QsnapError BACKING_REFUSED; as `openPatch`; what `use` throws.
 */
export async function withBytes<T>(
  { open, disks, flags, context }: BytesRequest,
  use: (bytes: DiffBytes) => Promise<T>,
): Promise<T> {
  refuseWithoutBacking(open.image, flags);
  const opened: GuestDisk[] = [];
  let patch: Patch | undefined;
  try {
    const reading = guestOptions(flags, context);
    for (const { snapshot } of disks) {
      opened.push(await openGuestDisk(open.image, { ...reading, snapshot }));
    }
    const [a, b] = opened as [GuestDisk, GuestDisk];
    const [before, after] = disks;
    const inputs = [...filesOf(b), ...namedFiles(open.image, open.path)];
    patch = await openPatch({ open, before, after, disk: b, inputs }, flags, context);
    const content = flags.content === true ? { a, b, isEqual: equalBytes } : undefined;
    return await use({ content, patch });
  } finally {
    await patch?.discard();
    for (const disk of opened) await disk.close();
  }
}
