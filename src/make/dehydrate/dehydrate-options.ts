import type { Unread } from '../../image/image.js';
import type { Compressor } from '../../read/guest/platform.js';
import type { LeftOutReason } from './copy-metadata.js';

/** How the metadata of an image is copied. */
export interface DehydrateOptions {
  /** Names of snapshots, bitmaps and files stay as they are, and bytes whose meaning is not known. */
  readonly keepNames?: boolean | undefined;
  /**
   * Needed where the file ends within compressed data: without it a check takes the copy for one that was cut off there.
   */
  readonly compressor?: Compressor | undefined;
  /** Called with the bytes of tables that were copied so far, and in all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Clusters of metadata that were not copied. */
export interface LeftOutClusters {
  readonly reason: LeftOutReason;
  readonly clusters: number;
  /** Byte offset in the file of the first one. */
  readonly firstAt: number;
}

/** What a copy without guest data has of an image. */
export interface DehydrateReport {
  /** Of both files, in bytes. */
  readonly fileSizeBytes: number;
  /** Bytes of metadata in the copy. */
  readonly metadataBytes: number;
  /** Bytes of clusters with guest data and VM states, which are a hole in the copy. */
  readonly dataBytes: number;
  /** Bytes of clusters with the LUKS header, which holds keys and is a hole in the copy, too; 0: there is none. */
  readonly keyBytes: number;
  /** How many different names were replaced. */
  readonly replacedNames: number;
  /** Of a damaged image: metadata that is a hole in the copy. */
  readonly leftOut: readonly LeftOutClusters[];
  /** L2 tables that do not begin where a cluster does; none is copied. */
  readonly misalignedTables: number;
  /** What could not be read of the image, and is not in the copy. */
  readonly unread: readonly Unread[];
}

/** How the clusters of a copy are filled. */
export interface RehydrateOptions extends Pick<DehydrateOptions, 'signal'> {
  /** Without it compressed clusters are left as zeros. */
  readonly compressor?: Compressor | undefined;
  /** Called with the bytes of guest data that were written so far, and in all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/** What was filled. */
export interface RehydrateReport extends Omit<DehydrateReport, 'replacedNames'> {
  /** Bytes of clusters that were filled. */
  readonly filledBytes: number;
  /** Compressed clusters that unpack to the pattern, or to one byte all over where that takes too much room. */
  readonly packedClusters: number;
  /** Compressed clusters that were left as zeros, since nothing fits into their room. */
  readonly packedLeftOut: number;
}
