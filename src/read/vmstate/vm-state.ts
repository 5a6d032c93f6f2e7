import { QsnapError } from '../../errors.js';
import { hex } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { visibleRanges } from '../../vmstate/legacy-area.js';
import { mapMemory, type MemoryMap, type MemoryRange } from '../../vmstate/memory-map.js';
import { rawMemoryFile, type Placement } from '../../vmstate/memory-files.js';
import { registersOf, type CpuRegisters } from '../../vmstate/registers.js';
import { VMSTATE_LIMITS } from '../../vmstate/limits.js';
import type { RamBlock, Section } from '../../vmstate/stream.js';
import { pixelPicture, screenBytes, screenMode, textScreen } from '../../vmstate/screen.js';
import { FONT_PLANE_BYTES, textPicture, type Picture } from '../../vmstate/text-picture.js';
import { byBlock, memoryPages, placedRuns } from './memory-pages.js';
import { openVmStateSource, type VmStateOptions, type VmStateSource } from './source.js';
import { shadowRegisters, videoAddress } from './pci-registers.js';
import { readDevice, readSection, surveyVmState, type VmStateSurvey } from './survey.js';

/** Bytes of memory that are read at a time. */
export const MEMORY_READ_BYTES_MAX = 256 * 2 ** 20;

/** What a video device shows. */
export type Screen =
  | {
      readonly kind: 'text';
      readonly columns: number;
      readonly lines: readonly string[];
      /** Undefined: video memory has no font to draw it with. */
      readonly picture: Picture | undefined;
    }
  | { readonly kind: 'pixels'; readonly picture: Picture };

/** Bytes for a place in a file of memory. */
export interface PlacedBytes {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The saved machine of a snapshot. It holds no memory of the guest: each question reads it anew. */
export class VmState {
  readonly source: VmStateSource;
  readonly survey: VmStateSurvey;
  readonly #options: VmStateOptions;

  /** Made by `openVmState`. */
  constructor(source: VmStateSource, survey: VmStateSurvey, options: VmStateOptions) {
    this.source = source;
    this.survey = survey;
    this.#options = options;
  }

  /**
   * Where the RAM of a PC lies in its address space.
   *
   * @param lowBytes main RAM below 4 GiB, where somebody knows better than the stream.
   */
  async memoryMap(lowBytes?: number): Promise<MemoryMap> {
    const { blocks, configuration } = this.survey;
    const clock = await readDevice(this.source, this.survey, 'mc146818rtc');
    const machine = configuration?.machine;
    const video = await videoAddress(this.source, this.survey);
    const cmos = clock?.bytesOf('cmos_data');
    const mapped = mapMemory(blocks, { machine, cmos, video, lowBytes });
    const pam = await shadowRegisters(this.source, this.survey);
    return { ...mapped, visible: visibleRanges(mapped.ranges, blocks, { machine, pam }) };
  }

  /**
   * The registers of each processor, by its number.
   *
   * @returns none for what is no x86, or where nobody can tell where they lie.
   */
  async registers(): Promise<readonly CpuRegisters[]> {
    const found: CpuRegisters[] = [];
    // There may be very many sections: each is looked up by its name and number.
    const keyOf = ({ name, instance }: Pick<Section, 'name' | 'instance'>): string =>
      `${instance | 0} ${name}`;
    const sections = this.survey.sections.filter(({ kind }) => kind === 'full');
    const described = new Map(this.survey.devices?.map((one) => [keyOf(one), one]));
    const commons = new Map(
      sections.filter(({ name }) => name === 'cpu_common').map((one) => [one.instance, one]),
    );
    const cpus = new Map(
      sections.filter(({ name }) => name === 'cpu').map((one) => [one.instance, one]),
    );
    for (const cpu of [...cpus.values()].slice(0, VMSTATE_LIMITS.cpusMax)) {
      const { instance } = cpu;
      const common = commons.get(instance);
      const [data, commonData] = [
        await readSection(this.source, cpu, described.get(keyOf(cpu))),
        await readSection(this.source, common, common && described.get(keyOf(common))),
      ];
      const registers = data && registersOf(instance, data, commonData);
      if (registers !== undefined) found.push(registers);
    }
    return found;
  }

  /**
   * What memory has for these places, in the order of the stream. What nothing comes for is zeros. The bytes are valid up
   * to the next batch but one.
   */
  async *memory(placements: readonly Placement[]): AsyncGenerator<readonly PlacedBytes[]> {
    const placementsOf = byBlock(placements);
    const wanted = ({ index }: RamBlock): boolean => placementsOf.has(index);
    for await (const runs of memoryPages(this.source, wanted, this.#options.decompressor)) {
      yield placedRuns(runs, placementsOf);
    }
  }

  /**
   * Reads memory of these places as one piece.
   *
   * @param bytes at most 256 MiB.
   * @throws QsnapError RANGE_INVALID for more, VM_STATE_INVALID.
   */
  async readMemory(placements: readonly Placement[], bytes: number): Promise<Uint8Array> {
    if (bytes > MEMORY_READ_BYTES_MAX) {
      throw new QsnapError(
        'RANGE_INVALID',
        `${bytes} bytes of memory are more than are read at once`,
        {
          expected: `at most ${MEMORY_READ_BYTES_MAX}`,
        },
      );
    }
    const into = new Uint8Array(bytes);
    for await (const placed of this.memory(placements)) {
      for (const { at, bytes: some } of placed) into.set(some, at);
    }
    return into;
  }

  /**
   * What the first VGA device shows.
   *
   * @throws QsnapError VM_STATE_NOT_FOUND where there is none, or its mode is not known.
   */
  async screen(): Promise<Screen> {
    const vga = await readDevice(this.source, this.survey, '/vga');
    const block = this.survey.blocks.find(({ name }) => name.endsWith('vga.vram'));
    if (vga === undefined || block === undefined) throw noScreen('there is no VGA device in it');
    const mode = screenMode(vga);
    if (mode.kind === 'unknown') throw noScreen(mode.reason);
    // QEMU keeps a picture inside of video memory; text that reaches behind it is blank.
    if (mode.kind === 'pixels' && !(mode.at + screenBytes(mode) <= block.bytes)) {
      throw noScreen('it is larger than the video memory');
    }
    const bytes = Math.max(0, Math.min(screenBytes(mode), block.bytes - mode.at));
    if (bytes > VMSTATE_LIMITS.screenBytesMax) throw noScreen('it is too large');
    const placement = { block, offset: mode.at, bytes, fileAt: 0 };
    const memory = await this.readMemory([placement], bytes);
    if (mode.kind === 'pixels') return { kind: 'pixels', picture: pixelPicture(mode, memory) };
    const fontBytes = Math.min(FONT_PLANE_BYTES, block.bytes);
    const fonts = await this.readMemory(
      [{ block, offset: 0, bytes: fontBytes, fileAt: 0 }],
      FONT_PLANE_BYTES,
    );
    const { columns } = mode;
    const picture = textPicture(mode, mode.font, memory, fonts);
    return { kind: 'text', columns, lines: textScreen(mode, memory), picture };
  }

  async close(): Promise<void> {
    await this.source.close();
  }
}

function noScreen(reason: string): QsnapError {
  return new QsnapError(
    'VM_STATE_NOT_FOUND',
    `the VM state has no screen that can be shown: ${reason}`,
    {
      structure: 'VM state',
    },
  );
}

/**
 * Opens the VM state of a snapshot and parses it as far as it can be read.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * console.log(state.survey.configuration?.machine); // 'pc-i440fx-7.2'
 * await state.close();
 * ```
 *
 * @throws QsnapError VM_STATE_NOT_FOUND, VM_STATE_INVALID, SNAPSHOT_STALE, READ_FAILED; and as `openGuestDisk`. What is wrong with the
 *   stream itself is told in `survey.problems`.
 */
export async function openVmState(
  image: OpenImage,
  snapshot: Snapshot,
  options: VmStateOptions = {},
): Promise<VmState> {
  const source = await openVmStateSource(image, snapshot, options);
  try {
    return new VmState(source, await surveyVmState(source), options);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * The places of `length` bytes of memory from a guest-physical address on.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * const places = placesAt(await state.memoryMap(), 0x7c00, 512);
 * console.log(await state.readMemory(places, 512));
 * ```
 *
 * @throws QsnapError RANGE_INVALID where some of them are no RAM.
 */
export function placesAt(map: MemoryMap, address: number, length: number): readonly Placement[] {
  // RAM that nobody but the processor's own mode sees is better than none.
  for (const ranges of [map.visible, map.ranges]) {
    const places = placesIn(ranges, address, address + length);
    if (places.reduce((sum, { bytes }) => sum + bytes, 0) === length) return places;
  }
  const end = hex(address + length);
  throw new QsnapError('RANGE_INVALID', `${hex(address)} to ${end} is not all memory`, {
    expected: map.ranges
      .map((one) => `${hex(one.address)} to ${hex(one.address + one.bytes)}`)
      .join(', '),
  });
}

function placesIn(ranges: readonly MemoryRange[], address: number, end: number): Placement[] {
  return ranges.flatMap((range) => {
    const from = Math.max(address, range.address);
    const to = Math.min(end, range.address + range.bytes);
    if (from >= to) return [];
    const offset = range.offset + from - range.address;
    return [{ block: range.block, offset, bytes: to - from, fileAt: from - address }];
  });
}

/**
 * The places of a part of a RAM block.
 *
 * ```ts
 * const image = await openImage(device);
 * const state = await openVmState(image, findSnapshot(image.snapshots, 'nightly'));
 * const [block] = state.survey.blocks;
 * if (block) console.log(await state.readMemory(placesInBlock(block, 0, 512), 512));
 * ```
 *
 * @throws QsnapError RANGE_INVALID where the block ends before.
 */
export function placesInBlock(
  block: RamBlock,
  offset: number,
  length: number,
): readonly Placement[] {
  const [whole] = rawMemoryFile([block]).placements;
  if (offset + length > block.bytes) {
    throw new QsnapError('RANGE_INVALID', `the RAM block ends before ${hex(offset + length)}`, {
      expected: `at most ${hex(block.bytes)}`,
    });
  }
  return [{ ...whole!, offset, bytes: length }];
}
