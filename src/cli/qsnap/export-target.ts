import {
  newQcow2Writer,
  newRawWriter,
  newStreamWriter,
  type BlockDevice,
  type CompressionType,
  type GuestDisk,
  type ImageWriter,
} from '../../index.js';
import { hashSource, printableText } from '../../internal.js';
import { createOutputFile, newSha256, type OutputFileOptions } from '../../node/index.js';
import { sent } from './sent.js';
import type { CliOutput } from '../streams.js';
import { printWarning, type Context } from './context.js';
import type { ExportFormat } from './export-format.js';

/** What the output is to be. */
export interface TargetOptions {
  /** A path, or `-` for stdout. */
  readonly output: string;
  readonly format: ExportFormat;
  readonly compress?: CompressionType;
  readonly clusterSize?: number;
  readonly force?: boolean;
}

/** Where an export goes: a file that gets its name at the end, or stdout. */
export interface ExportTarget {
  readonly label: string;
  readonly format: ExportFormat;
  readonly isStream: boolean;
  /** Cluster size of a qcow2 image. */
  readonly clusterBytes: number | undefined;
  readonly compression: CompressionType | undefined;
  readonly writer: ImageWriter;
  /** SHA-256 of the finished file. */
  fileHash(): Promise<string>;
  fileSizeBytes(): Promise<number>;
  commit(): Promise<void>;
  /** Takes back what is not committed. */
  discard(): Promise<void>;
}

/** As QEMU makes images. */
const CLUSTER_BYTES = 65536;

/**
 * Begins the output of an export.
 *
 * @param permissions of the image, which the output gets too, and what is read.
 *
 * @throws QsnapError OUTPUT_EXISTS and whatever else `createOutputFile` throws; NEW_IMAGE_INVALID.
 */
export async function openTarget(
  disk: GuestDisk,
  options: TargetOptions,
  { mode, inputs }: Pick<OutputFileOptions, 'mode' | 'inputs'>,
  context: Context,
): Promise<ExportTarget> {
  if (options.output === '-') return streamTarget(await disk.sizeBytes(), context.io.stdout);
  const file = await createOutputFile(options.output, {
    replace: options.force === true,
    ...(mode !== undefined && { mode }),
    ...(inputs !== undefined && { inputs }),
  });
  try {
    if (file.leftoverRemoved) {
      const shown = printableText(options.output);
      printWarning(context, `removed what an export that was cut off had left of ${shown}`);
    }
    const { format } = options;
    const { device } = file;
    const diskBytes = await disk.sizeBytes();
    const writer = await writerOf(device, diskBytes, format, options);
    return {
      label: options.output,
      format,
      isStream: false,
      clusterBytes: format === 'qcow2' ? writer.clusterBytes : undefined,
      compression: options.compress,
      writer,
      fileHash: () => hashSource(device, newSha256()),
      fileSizeBytes: () => device.sizeBytes(),
      commit: () => file.commit(),
      discard: () => file.discard(),
    };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

function writerOf(
  device: BlockDevice,
  diskSizeBytes: number,
  format: ExportFormat,
  { compress, clusterSize }: TargetOptions,
): Promise<ImageWriter> {
  if (format === 'raw') return newRawWriter(device, diskSizeBytes);
  return newQcow2Writer(device, {
    diskSizeBytes,
    version: 3,
    clusterBytes: clusterSize ?? CLUSTER_BYTES,
    refcountBits: 16,
    extendedL2: false,
    lazyRefcounts: false,
    compressionType: compress ?? 'zlib',
  });
}

function streamTarget(diskBytes: number, stdout: CliOutput): ExportTarget {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    label: '-',
    format: 'raw',
    isStream: true,
    clusterBytes: undefined,
    compression: undefined,
    writer: newStreamWriter({ write: (bytes) => sent(bytes, stdout) }, diskBytes),
    fileHash: () => Promise.reject(new Error('a stream is hashed as it is sent')),
    fileSizeBytes: () => Promise.resolve(diskBytes),
    commit: nothing,
    discard: nothing,
  };
}
