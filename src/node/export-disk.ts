import {
  COMPRESSION,
  FLAG,
  FORMAT,
  NUMBER,
  PROGRESS,
  refuseWrong,
  type KnownOptions,
} from '../api/known-options.js';
import { QcowDisk } from '../api/qcow-disk.js';
import type { ProgressOptions } from '../api/options.js';
import { QsnapError } from '../errors.js';
import type { BlockDevice } from '../io/device.js';
import { copyDisk, type CopyReport } from '../make/copy/copy-disk.js';
import type { ImageWriter } from '../make/new/image-writer.js';
import { newQcow2Writer } from '../make/new/qcow2-writer.js';
import { newRawWriter } from '../make/new/raw-writer.js';
import type { CompressionType } from '../qcow2/header.js';
import { nodeCompressor } from './compressor.js';
import type { ImageFile } from './files/open.js';
import { createOutputFile } from './files/output-file.js';

/** How a disk becomes a file. */
export interface ExportOptions extends ProgressOptions {
  /** Default: qcow2 where the name ends in `.qcow2`, else raw. */
  readonly format?: 'raw' | 'qcow2' | undefined;
  /** Compress the clusters of a qcow2 image. */
  readonly compress?: CompressionType | undefined;
  /** Size of the clusters of a qcow2 image in bytes, a power of 2; default: 65536, as QEMU makes images. */
  readonly clusterBytes?: number | undefined;
  /** Replace a file of this name. Default: there must be none. */
  readonly replace?: boolean | undefined;
}

const EXPORT: KnownOptions<ExportOptions> = {
  ...PROGRESS,
  format: FORMAT,
  compress: COMPRESSION,
  clusterBytes: NUMBER,
  replace: FLAG,
};

/**
 * Writes a disk to a file of its own: raw, or as a qcow2 image without snapshots and backing file. The file gets its
 * name when all of it is on the medium; what fails or is stopped leaves nothing. It gets the permissions of the
 * image, and never takes the place of a file that the disk is read from.
 *
 * ```ts
 * await using golden = await image.disk('golden');
 * await exportDisk(golden, 'golden.raw');
 * await exportDisk(golden, 'golden.qcow2', { compress: 'zstd', replace: true });
 * ```
 *
 * @returns how many bytes were read, and what became of them.
 * @throws QsnapError OUTPUT_EXISTS, OUTPUT_IS_INPUT, NOT_A_FILE, IMAGE_IN_USE, OPEN_FAILED, NEW_IMAGE_INVALID,
 *   WRITE_FAILED, NO_SPACE, ABORTED, and what `QcowDisk.read` throws.
 */
export async function exportDisk(
  disk: QcowDisk,
  file: string,
  options: ExportOptions = {},
): Promise<CopyReport> {
  refuseNoDisk(disk);
  refuseWrong(options, EXPORT);
  const { compress, onProgress, signal, replace = false } = options;
  const format = formatOf(file, options);
  if (format === 'raw' && compress !== undefined) throw uncompressed(file);
  const { guest, sizeBytes } = disk;
  // A closed disk refuses, and so does one that an edit made stale.
  await disk.read(0, 0);
  const inputs = [guest, ...guest.chain].flatMap(({ sources }) => sources);
  // Only a file has permissions.
  const mode = await (inputs[0] as Partial<ImageFile> | undefined)?.permissions?.();
  const output = await createOutputFile(file, {
    ...{ replace, inputs },
    ...(mode !== undefined && { mode }),
  });
  try {
    const writer = await writerOf(output.device, sizeBytes, format, options);
    const report = await copyDisk(guest, writer, {
      ...(compress !== undefined && {
        compress: { type: compress, compressor: nodeCompressor() },
      }),
      onProgress: (done, total) => onProgress?.({ phase: 'writing', done, total }),
      signal,
    });
    await writer.finish();
    await output.commit();
    return report;
  } finally {
    // Does nothing to a file that has its name.
    await output.discard();
  }
}

/** An image has many disks. @throws TypeError. */
function refuseNoDisk(disk: unknown): void {
  if (disk instanceof QcowDisk) return;
  throw new TypeError('what is exported is a disk, such as `await image.disk()` gives');
}

function formatOf(file: string, { format }: ExportOptions): 'raw' | 'qcow2' {
  return format ?? (/\.qcow2$/i.test(file) ? 'qcow2' : 'raw');
}

function uncompressed(file: string): QsnapError {
  return new QsnapError('NEW_IMAGE_INVALID', 'a raw disk has no compressed clusters', {
    file,
    hint: 'leave out `compress`, or export with `{ format: "qcow2" }`',
  });
}

function writerOf(
  device: BlockDevice,
  diskSizeBytes: number,
  format: 'raw' | 'qcow2',
  { compress = 'zlib', clusterBytes = 65536 }: ExportOptions,
): Promise<ImageWriter> {
  if (format === 'raw') return newRawWriter(device, diskSizeBytes);
  return newQcow2Writer(device, {
    ...{ diskSizeBytes, clusterBytes, compressionType: compress },
    ...{ version: 3, refcountBits: 16, extendedL2: false, lazyRefcounts: false },
  });
}
