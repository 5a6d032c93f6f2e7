import { elfHead } from './elf-core.js';
import type { MemoryMap, MemoryRange } from './memory-map.js';
import type { CpuRegisters } from './registers.js';
import type { RamBlock } from './stream.js';

/** A stretch of a RAM block that goes to a place in a file. */
export interface Placement {
  readonly block: RamBlock;
  readonly offset: number;
  readonly bytes: number;
  readonly fileAt: number;
}

/** A file of guest memory, before the memory is in it. */
export interface MemoryFile {
  readonly fileBytes: number;
  /** What is in it besides memory. */
  readonly heads: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  /** Ascending in the file. What no page fills is zeros. */
  readonly placements: readonly Placement[];
}

/** "EMiL", version 1. */
const LIME_MAGIC = 0x4c694d45;
const LIME_HEAD_BYTES = 32;

/**
 * RAM blocks one behind the other, as they are.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * const memoryFile = rawMemoryFile(state.survey.blocks);
 * for await (const placed of state.memory(memoryFile.placements)) console.log(placed.length);
 * ```
 */
export function rawMemoryFile(blocks: readonly RamBlock[]): MemoryFile {
  let fileAt = 0;
  const placements = blocks.map((block) => {
    const placement = { block, offset: 0, bytes: block.bytes, fileAt };
    fileAt += block.bytes;
    return placement;
  });
  return { fileBytes: fileAt, heads: [], placements };
}

/**
 * The guest's address space: a byte of the file is at its guest-physical address, and nothing at those of devices.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * const memoryFile = paddedMemoryFile(await state.memoryMap());
 * for await (const placed of state.memory(memoryFile.placements)) console.log(placed.length);
 * ```
 */
export function paddedMemoryFile({ visible }: MemoryMap): MemoryFile {
  const placements = visible.map(({ address, ...range }) => {
    return { ...placementOf(range), fileAt: address };
  });
  const last = placements.at(-1);
  return { fileBytes: last === undefined ? 0 : last.fileAt + last.bytes, heads: [], placements };
}

/**
 * LiME: a head of 32 bytes before each stretch. Source: LiME's `doc/README.md`, version 1.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * const memoryFile = limeMemoryFile(await state.memoryMap());
 * for await (const placed of state.memory(memoryFile.placements)) console.log(placed.length);
 * ```
 */
export function limeMemoryFile({ visible }: MemoryMap): MemoryFile {
  let at = 0;
  const heads: { at: number; bytes: Uint8Array }[] = [];
  const placements = visible.map((range) => {
    const bytes = new Uint8Array(LIME_HEAD_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, LIME_MAGIC, true);
    view.setUint32(4, 1, true);
    view.setBigUint64(8, BigInt(range.address), true);
    view.setBigUint64(16, BigInt(range.address + range.bytes - 1), true);
    heads.push({ at, bytes });
    const placement = { ...placementOf(range), fileAt: at + LIME_HEAD_BYTES };
    at = placement.fileAt + range.bytes;
    return placement;
  });
  return { fileBytes: at, heads, placements };
}

/**
 * An ELF core as QEMU's `dump-guest-memory` makes it: a note for each processor, a segment for each stretch of RAM.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * const memoryFile = elfMemoryFile(await state.memoryMap(), await state.registers());
 * for await (const placed of state.memory(memoryFile.placements)) console.log(placed.length);
 * ```
 */
export function elfMemoryFile({ visible }: MemoryMap, cpus: readonly CpuRegisters[]): MemoryFile {
  const segments = visible.map(({ address, ...range }) => {
    return { ...placementOf(range), address };
  });
  const { head, tail, memoryAt } = elfHead(segments, cpus);
  let fileAt = memoryAt;
  const placements = segments.map(({ block, offset, bytes }) => {
    const placement = { block, offset, bytes, fileAt };
    fileAt += bytes;
    return placement;
  });
  return {
    fileBytes: fileAt + tail.length,
    heads: [
      { at: 0, bytes: head },
      { at: fileAt, bytes: tail },
    ],
    placements,
  };
}

function placementOf({
  block,
  offset,
  bytes,
}: Pick<MemoryRange, 'block' | 'offset' | 'bytes'>): Omit<Placement, 'fileAt'> {
  return { block, offset, bytes };
}
