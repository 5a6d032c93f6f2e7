import type { DumpPart } from './parts.js';

/** A field of an image as it is stored, or entries of a table in a row that are of one kind and go on from each other. */
export interface DumpedField {
  readonly part: DumpPart | 'cluster';
  /** What it is a field of: "header", "snapshot 3", "L2 table at 0x50000". */
  readonly structure: string;
  /** The name that the specification or QEMU's source has for it. */
  readonly name: string;
  /** Byte offset in the image. */
  readonly at: number;
  /** Length in bytes: of the field, or of all the entries. */
  readonly length: number;
  /**
   * The bytes as stored: of a field the first `DUMPED_BYTES_MAX`, of entries in a row those of the first one. Fewer where
   * the file ends.
   */
  readonly bytes: Uint8Array;
  /** The number or the text that they are; not there where they are neither, or not whole. */
  readonly value?: number | bigint | string;
  /** The value in words. */
  readonly text: string;
  /** Of entries in a row: the index of the first one and of the last. */
  readonly entries?: { readonly first: number; readonly last: number };
  /** The value can't be right, or could not be read whole. */
  readonly problem?: {
    /** What would be right. */
    readonly expected: string;
  };
}

/** Bytes that are shown of one field. */
export const DUMPED_BYTES_MAX = 4096;
