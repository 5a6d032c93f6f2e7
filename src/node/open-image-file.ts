import { openQcow } from '../api/open-qcow.js';
import { FLAG, refuseWrong, type KnownOptions } from '../api/known-options.js';
import type { QcowImage } from '../api/qcow-image.js';
import { nodeCryptography } from './cryptography.js';
import { nodeDecompressor } from './decompressor.js';
import { fileGate } from './file-gate.js';
import { openFileForEdit } from './files/open-for-edit.js';
import { openFile } from './files/open.js';

/** How an image file is opened. */
export interface OpenImageFileOptions {
  /** Open it for edits, locked against everybody. Default: for reading, as QEMU's readers lock it. */
  readonly write?: boolean | undefined;
  /** Read whatever others do with the image, without any lock; the answer may be inconsistent. */
  readonly forceShare?: boolean | undefined;
}

/** The kinds of these options. */
export const OPEN_FILE: KnownOptions<OpenImageFileOptions> = { write: FLAG, forceShare: FLAG };

/**
 * Opens an image in a file or block device, with all that its disks take: decompression, decryption, and a gate
 * to backing files for disks that are opened with `backing`.
 *
 * ```ts
 * await using image = await openImageFile('disk.qcow2', { write: true });
 * await image.create('before upgrade');
 * ```
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, IMAGE_IN_USE, NOT_QCOW2 and the other codes of a header that
 *   can't be read, READ_FAILED.
 */
export async function openImageFile(
  path: string,
  options: OpenImageFileOptions = {},
): Promise<QcowImage> {
  refuseWrong(options, OPEN_FILE);
  const { write = false, forceShare = false } = options;
  const source = write ? await openFileForEdit(path) : await openFile(path, { forceShare });
  return openQcow(source, {
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
    gate: fileGate({ forceShare }),
  });
}
