import { GiB, MiB } from '../base/units.js';
import type { RamBlock } from './stream.js';

/** A stretch of guest-physical addresses that a RAM block lies at. */
export interface MemoryRange {
  readonly address: number;
  readonly block: RamBlock;
  /** Byte offset in the block. */
  readonly offset: number;
  readonly bytes: number;
  readonly kind: 'ram' | 'dimm' | 'video' | 'firmware';
}

/** Where RAM blocks lie in the guest's address space. */
export interface MemoryMap extends MappedBlocks {
  /** As the guest reads them: without what VGA hides, and with firmware where it lies over RAM. */
  readonly visible: readonly MemoryRange[];
}

/** The same, whatever may lie over them below 1 MiB. */
export interface MappedBlocks {
  /** Blocks of the main RAM, in the order of their addresses. */
  readonly main: readonly RamBlock[];
  /** Ascending, without overlaps. */
  readonly ranges: readonly MemoryRange[];
  /** Addresses that the stream does not tell, and what is taken for them. */
  readonly doubts: readonly string[];
}

/** What else of the machine tells addresses. */
export interface MapFacts {
  readonly machine: string | undefined;
  /** The 128 bytes of the clock's memory, where firmware finds how much RAM there is. */
  readonly cmos: Uint8Array | undefined;
  /** Address of the video memory, where the guest has switched it on. */
  readonly video: { readonly block: RamBlock; readonly address: number } | undefined;
  /** Bytes of main RAM below 4 GiB, where somebody knows better. */
  readonly lowBytes?: number | undefined;
}

/** The first address that devices have no part of. */
export const HIGH_RAM_AT = 4 * GiB;
/** QEMU's slot for the first memory module begins at a multiple of it. */
const DIMM_ALIGNMENT = GiB;
const SUBSETS_MAX = 12;

/**
 * Tells where the RAM of a PC lies. The stream has no addresses: main RAM is split below 4 GiB as the machine's clock
 * memory says; firmware ends at 4 GiB. Source: QEMU's `hw/i386/pc.c`.
 */
export function mapMemory(blocks: readonly RamBlock[], facts: MapFacts): MappedBlocks {
  const doubts: string[] = [];
  const above = facts.cmos && cmosAbove(facts.cmos);
  const total = facts.cmos && cmosLow(facts.cmos) + above!;
  const candidates = blocks.filter(({ name }) => mayBeMain(name));
  const main = mainOf(candidates, total, doubts);
  const mainBytes = main.reduce((sum, { bytes }) => sum + bytes, 0);
  const low = Math.min(facts.lowBytes ?? lowOf(mainBytes, above, facts.machine, doubts), mainBytes);
  const ranges = [
    ...placed(main, 0, low, 0),
    ...placed(main, low, mainBytes, HIGH_RAM_AT),
    ...dimms(
      candidates.filter((one) => !main.includes(one)),
      HIGH_RAM_AT + mainBytes - low,
      doubts,
    ),
  ];
  const bios = blocks.find(({ name }) => name === 'pc.bios');
  const fixed: MemoryRange[] = [];
  if (facts.video !== undefined) {
    const { block, address } = facts.video;
    fixed.push({ address, block, offset: 0, bytes: block.bytes, kind: 'video' });
  }
  if (bios !== undefined && bios.bytes <= HIGH_RAM_AT) {
    const address = HIGH_RAM_AT - bios.bytes;
    fixed.push({ address, block: bios, offset: 0, bytes: bios.bytes, kind: 'firmware' });
  }
  const free = fixed.filter((one) => !ranges.some((range) => overlaps(one, range)));
  return { main, ranges: [...ranges, ...free].sort((a, b) => a.address - b.address), doubts };
}

function overlaps(a: MemoryRange, b: MemoryRange): boolean {
  return a.address < b.address + b.bytes && b.address < a.address + a.bytes;
}

/** Blocks of devices and firmware are named by a path, or end as these do. */
function mayBeMain(name: string): boolean {
  return (
    !name.includes('/') && !/^(pc\.(bios|rom)|isa-bios|.*(vram|\.rom|smram|flash\d*))$/.test(name)
  );
}

function cmosAbove(cmos: Uint8Array): number {
  return (cmos[0x5b]! + cmos[0x5c]! * 2 ** 8 + cmos[0x5d]! * 2 ** 16) * 64 * 1024;
}

function cmosLow(cmos: Uint8Array): number {
  const units = cmos[0x34]! + cmos[0x35]! * 2 ** 8;
  // Less than 16 MiB is told by KiB, above the first MiB.
  if (units === 0) return MiB + (cmos[0x30]! + cmos[0x31]! * 2 ** 8) * 1024;
  return 16 * MiB + units * 64 * 1024;
}

function mainOf(
  candidates: readonly RamBlock[],
  total: number | undefined,
  doubts: string[],
): readonly RamBlock[] {
  const own = candidates.find(({ name }) => name === 'pc.ram');
  if (own !== undefined) return [own];
  // Nodes of NUMA follow each other by name, however the stream lists them.
  const byName = [...candidates].sort((a, b) =>
    a.name.localeCompare(b.name, 'en', { numeric: true }),
  );
  const found = total === undefined ? undefined : subsetOf(byName, total);
  if (found !== undefined && found.length <= 1) return found;
  if (found === undefined && byName.length > 1) {
    doubts.push(
      'which RAM blocks are the main RAM is not told: all that are no device are taken, by name',
    );
  } else if (byName.length > 1)
    doubts.push('the order of the blocks of main RAM is taken from their names');
  return found ?? byName;
}

/** The blocks whose bytes add up to what the clock's memory says: as many as can be. */
function subsetOf(blocks: readonly RamBlock[], total: number): readonly RamBlock[] | undefined {
  if (blocks.length > SUBSETS_MAX) return undefined;
  let best: readonly RamBlock[] | undefined;
  for (let mask = 1; mask < 2 ** blocks.length; mask += 1) {
    const some = blocks.filter((_, i) => (mask & (1 << i)) !== 0);
    if (some.reduce((sum, { bytes }) => sum + bytes, 0) !== total) continue;
    if (best === undefined || some.length > best.length) best = some;
  }
  return best;
}

function lowOf(
  mainBytes: number,
  above: number | undefined,
  machine: string | undefined,
  doubts: string[],
): number {
  if (above !== undefined && above <= mainBytes) return mainBytes - above;
  const isQ35 = machine?.includes('q35') === true;
  const [most, split] = isQ35 ? [2816 * MiB, 2 * GiB] : [3584 * MiB, 3 * GiB];
  if (mainBytes < Math.min(most, 2 * GiB)) return mainBytes;
  doubts.push('where main RAM is split is not told: the split of the machine type is taken');
  return mainBytes < most ? mainBytes : split;
}

/** Part of the joined main RAM, from `from` to `to`, at an address. */
function placed(
  main: readonly RamBlock[],
  from: number,
  to: number,
  address: number,
): MemoryRange[] {
  const ranges: MemoryRange[] = [];
  let at = 0;
  for (const block of main) {
    const first = Math.max(from, at);
    const end = Math.min(to, at + block.bytes);
    if (first < end) {
      const place = { address: address + first - from, offset: first - at, bytes: end - first };
      ranges.push({ ...place, block, kind: 'ram' });
    }
    at += block.bytes;
  }
  return ranges;
}

function dimms(blocks: readonly RamBlock[], from: number, doubts: string[]): MemoryRange[] {
  let end = from;
  if (blocks.length > 0) {
    doubts.push('addresses of memory modules are not told: they are taken to follow the main RAM');
  }
  return blocks.map((block) => {
    const address = Math.ceil(end / DIMM_ALIGNMENT) * DIMM_ALIGNMENT;
    end = address + block.bytes;
    return { address, block, offset: 0, bytes: block.bytes, kind: 'dimm' };
  });
}
