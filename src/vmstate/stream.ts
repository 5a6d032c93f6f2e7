/** The parts of a VM state stream, as values. Source: QEMU's `migration/savevm.c` and `migration/ram.c`. */

/** "QEVM" and version 3. */
export const STREAM_MAGIC = 0x5145564d;
export const STREAM_VERSION = 3;

/** What each part of a stream begins with. */
export const SECTION = {
  end: 0x00,
  start: 0x01,
  part: 0x02,
  last: 0x03,
  full: 0x04,
  subsection: 0x05,
  description: 0x06,
  configuration: 0x07,
  footer: 0x7e,
} as const;

/** A part of guest memory that has a name of its own: the main RAM, video memory, a ROM. */
export interface RamBlock {
  readonly index: number;
  readonly name: string;
  /** As long as it was used. */
  readonly bytes: number;
  /** Where its pages lie in a stream that was saved with mapped-ram. */
  readonly mapped: MappedPages | undefined;
}

/** Pages at fixed places. All offsets count from the first byte of the stream. */
export interface MappedPages {
  readonly pageBytes: number;
  readonly bitmapAt: number;
  readonly pagesAt: number;
}

/** How a page is stored. */
export type PageKind = 'byte' | 'data' | 'compressed';

/** Takes pages as they are found: `length` bytes at `at` of the stream, which stand for `pageBytes`. */
export type PageSink = (
  block: RamBlock,
  offset: number,
  kind: PageKind,
  at: number,
  length: number,
  pageBytes: number,
) => void;

/** One section of a stream: of RAM there are many, of each device one. */
export interface Section {
  readonly kind: 'start' | 'part' | 'last' | 'full';
  readonly id: number;
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  /** Byte offset in the stream of its type. */
  readonly at: number;
  readonly dataAt: number;
  /** Undefined: nobody can tell where it ends. */
  readonly dataBytes: number | undefined;
}

/** What the stream says of itself in front of the sections. */
export interface Configuration {
  /** Such as `pc-i440fx-7.2`. */
  readonly machine: string;
  readonly capabilities: readonly string[];
}

/** Something that can't be read, or is not as it should be. */
export interface StreamProblem {
  readonly at: number;
  readonly text: string;
}
