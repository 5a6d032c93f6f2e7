import { MiB } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import { hex } from '../../base/words.js';
import { PAGE_BYTES } from '../../vmstate/limits.js';
import type { Placement } from '../../vmstate/memory-files.js';
import type { RamBlock } from '../../vmstate/stream.js';
import { StreamParser } from '../../vmstate/stream-parser.js';
import type { Decompressor } from '../guest/platform.js';
import { mappedRuns } from './mapped-runs.js';
import type { VmStateSource } from './source.js';
import { Windows } from './windows.js';

/** A stretch of a RAM block with what is in it. */
export interface PageRun {
  readonly block: RamBlock;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes of mapped pages that are handed over at a time. */
const MAPPED_BYTES = 4 * MiB;
/** Compressed pages that are unpacked at a time. */
const PACKED_PAGES = 1024;
/** Compressed pages begin with zlib's own two bytes. */
const ZLIB_HEAD_BYTES = 2;

/**
 * The pages of a VM state that are not zeros, in the order of the stream, in batches. Their bytes are valid up to the
 * next batch but one, so that one is read while the one before is written. Where the stream can't be parsed any more, it ends: `surveyVmState` tells why.
 *
 * @param wanted whether pages of a block are asked for.
 * @throws QsnapError VM_STATE_INVALID for a compressed page that can't be unpacked; UNSUPPORTED_COMPRESSION.
 */
export async function* memoryPages(
  source: VmStateSource,
  wanted: (block: RamBlock) => boolean,
  decompressor?: Decompressor,
): AsyncGenerator<readonly PageRun[]> {
  const windows = new Windows(source);
  const taken = new TakenPages(wanted);
  const parser = new StreamParser(taken.take);
  while (!parser.isDone && (await windows.moveTo(parser.position))) {
    taken.begin(windows.window.bytes, windows.window.base);
    parser.parse(windows.window);
    yield taken.runs();
    for (let i = 0; i < taken.packed.length; i += PACKED_PAGES) {
      yield await unpacked(taken.packed.slice(i, i + PACKED_PAGES), decompressor);
    }
  }
  const memories: Uint8Array[] = [];
  let turn = 0;
  const runs = mappedRuns(source, parser.blocks.filter(wanted));
  for await (const { block, offset, at, length } of runs) {
    for (let done = 0; done < length; done += MAPPED_BYTES) {
      const memory = (memories[turn] ??= new Uint8Array(MAPPED_BYTES));
      turn = 1 - turn;
      const bytes = memory.subarray(0, Math.min(MAPPED_BYTES, length - done));
      await source.readBatch([{ at: at + done, into: bytes }]);
      yield [{ block, offset: offset + done, bytes }];
    }
  }
}

interface PackedPage {
  readonly block: RamBlock;
  readonly offset: number;
  readonly at: number;
  readonly packed: Uint8Array;
}

/**
 * Pages of one window. What is in a row in memory is moved together where it lies: records between the pages are behind
 * the parser then.
 */
class TakenPages {
  packed: PackedPage[] = [];
  #runs: { block: RamBlock; offset: number; from: number; to: number }[] = [];
  #filled: PageRun[] = [];
  #bytes: Uint8Array = new Uint8Array(0);
  #base = 0;
  /** Pages of one byte, by the byte: there may be very many of them in few bytes. */
  readonly #pages: Uint8Array[] = [];
  readonly #wanted: (block: RamBlock) => boolean;

  constructor(wanted: (block: RamBlock) => boolean) {
    this.#wanted = wanted;
  }

  begin(bytes: Uint8Array, base: number): void {
    this.#bytes = bytes;
    this.#base = base;
    this.packed = [];
    this.#runs = [];
    this.#filled = [];
  }

  readonly take = (
    block: RamBlock,
    offset: number,
    kind: 'byte' | 'data' | 'compressed',
    at: number,
    length: number,
    pageBytes: number,
  ): void => {
    if (!this.#wanted(block)) return;
    const from = at - this.#base;
    if (kind === 'byte') {
      const value = this.#bytes[from]!;
      if (value === 0) return;
      const page = (this.#pages[value] ??= new Uint8Array(pageBytes).fill(value));
      const bytes = page.subarray(0, block.bytes - offset);
      this.#filled.push({ block, offset, bytes });
    } else if (kind === 'compressed') {
      const packed = this.#bytes.slice(from + ZLIB_HEAD_BYTES, from + length);
      this.packed.push({ block, offset, at, packed });
    } else this.#takeData(block, offset, from, Math.min(length, block.bytes - offset));
  };

  runs(): PageRun[] {
    const runs = this.#runs.map(({ block, offset, from, to }) => {
      return { block, offset, bytes: this.#bytes.subarray(from, to) };
    });
    return [...runs, ...this.#filled];
  }

  #takeData(block: RamBlock, offset: number, from: number, length: number): void {
    const last = this.#runs.at(-1);
    if (last?.block === block && last.offset + last.to - last.from === offset) {
      this.#bytes.copyWithin(last.to, from, from + length);
      last.to += length;
    } else this.#runs.push({ block, offset, from, to: from + length });
  }
}

async function unpacked(
  pages: readonly PackedPage[],
  decompressor: Decompressor | undefined,
): Promise<PageRun[]> {
  if (pages.length === 0) return [];
  if (decompressor === undefined) {
    throw new QsnapError('UNSUPPORTED_COMPRESSION', 'nothing here unpacks pages of the VM state', {
      hint: 'give a decompressor: qsnap/node and qsnap/web have it',
    });
  }
  const packed = pages.map((page) => page.packed);
  const contents = await decompressor.decompress('zlib', packed, PAGE_BYTES);
  return pages.map(({ block, offset, at }, i) => {
    const bytes = contents[i];
    if (bytes !== undefined) return { block, offset, bytes };
    throw new QsnapError(
      'VM_STATE_INVALID',
      `a compressed page at ${hex(at)} of the VM state can not be unpacked`,
      { structure: 'VM state' },
    );
  });
}

/** Placements by the position of their block. */
export function byBlock(placements: readonly Placement[]): ReadonlyMap<number, Placement[]> {
  const found = new Map<number, Placement[]>();
  for (const placement of placements) {
    const { index } = placement.block;
    const there = found.get(index);
    if (there === undefined) found.set(index, [placement]);
    else there.push(placement);
  }
  return found;
}

/** What of runs goes to a file, and where. There may be very many runs, and very many blocks. */
export function placedRuns(
  runs: readonly PageRun[],
  placementsOf: ReadonlyMap<number, readonly Placement[]>,
): { readonly at: number; readonly bytes: Uint8Array }[] {
  return runs.flatMap(({ block, offset, bytes }) => {
    return (placementsOf.get(block.index) ?? []).flatMap((place) => {
      const from = Math.max(offset, place.offset);
      const to = Math.min(offset + bytes.length, place.offset + place.bytes);
      if (from >= to) return [];
      const at = place.fileAt + from - place.offset;
      return [{ at, bytes: bytes.subarray(from - offset, to - offset) }];
    });
  });
}
