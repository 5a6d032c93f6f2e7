import { KiB, MiB } from '../base/units.js';
import type { MemoryRange } from './memory-map.js';
import type { RamBlock } from './stream.js';

/** Addresses where a PC has windows of devices over its RAM. */
const AREA = { from: 0xa0000, to: MiB };
/** Up to here it is the window of VGA, from here on firmware, which RAM may take the place of. */
const ROMS_AT = 0xc0000;
const ISA_BIOS_BYTES_MAX = 128 * KiB;
/** A host bridge switches between firmware and RAM by stretches of this length. */
const STEP_BYTES = 16 * KiB;
/** Machines without a bridge that could put RAM in the place of firmware. */
const WITHOUT_BRIDGE = ['microvm', 'isapc'];
const VGA_MEMORY = /(^|\/)(vga\.vram|qxl\.vgavram)$/;

/** What tells whether reads go to RAM or to firmware. */
export interface BridgeFacts {
  readonly machine: string | undefined;
  /** The seven registers of the host bridge, PAM0 to PAM6; undefined where they are not known. */
  readonly pam: Uint8Array | undefined;
}

/**
 * Memory as the guest reads it, and as a dump by QEMU has it: below 1 MiB a VGA device hides RAM, and firmware lies over
 * RAM until the guest switches that off. Source: Intel's data sheet of the 82441FX; seen in QEMU's dumps.
 */
export function visibleRanges(
  ranges: readonly MemoryRange[],
  blocks: readonly RamBlock[],
  facts: BridgeFacts,
): readonly MemoryRange[] {
  const roms = romsIn(blocks);
  const hasVga = blocks.some(({ name }) => VGA_MEMORY.test(name));
  const parts = ranges.flatMap((range) => [
    ...cut(range, 0, AREA.from),
    ...cut(range, AREA.to, Infinity),
  ]);
  for (let at = AREA.from; at < AREA.to; at += STEP_BYTES) {
    const within = (from: readonly MemoryRange[]): MemoryRange[] =>
      from.flatMap((range) => cut(range, at, at + STEP_BYTES)).slice(0, 1);
    if (at < ROMS_AT) parts.push(...(hasVga ? [] : within(ranges)));
    else parts.push(...within(isShadowed(facts, at) ? ranges : [...roms, ...ranges]));
  }
  return joined(parts.sort((a, b) => a.address - b.address));
}

/** Firmware below 1 MiB: what lies over something else comes first. */
function romsIn(blocks: readonly RamBlock[]): readonly MemoryRange[] {
  const roms: MemoryRange[] = [];
  const options = blocks.find(({ name }) => name === 'pc.rom');
  if (options !== undefined) {
    const { bytes } = options;
    roms.push({ address: ROMS_AT, block: options, offset: 0, bytes, kind: 'firmware' });
  }
  const bios =
    blocks.find(({ name }) => name === 'isa-bios') ?? blocks.find(({ name }) => name === 'pc.bios');
  if (bios !== undefined) {
    const bytes = Math.min(bios.bytes, ISA_BIOS_BYTES_MAX);
    const place = { address: AREA.to - bytes, offset: bios.bytes - bytes, bytes };
    roms.push({ ...place, block: bios, kind: 'firmware' });
  }
  return roms;
}

function isShadowed({ machine, pam }: BridgeFacts, at: number): boolean {
  if (pam === undefined) return !WITHOUT_BRIDGE.includes(machine ?? '');
  const step = (at - ROMS_AT) / STEP_BYTES;
  const isLow = at < 0xf0000 && step % 2 === 0;
  const register = at < 0xf0000 ? pam[1 + Math.floor(step / 2)]! : pam[0]!;
  return (register & (isLow ? 0x01 : 0x10)) !== 0;
}

function cut(range: MemoryRange, from: number, to: number): MemoryRange[] {
  const address = Math.max(from, range.address);
  const end = Math.min(to, range.address + range.bytes);
  if (address >= end) return [];
  return [
    { ...range, address, offset: range.offset + address - range.address, bytes: end - address },
  ];
}

/** Ranges that go on where the one before ends, in memory and in the block, are one. */
function joined(parts: readonly MemoryRange[]): readonly MemoryRange[] {
  const ranges: MemoryRange[] = [];
  for (const part of parts) {
    const last = ranges.at(-1);
    const goesOn =
      last?.block === part.block &&
      last.address + last.bytes === part.address &&
      last.offset + last.bytes === part.offset;
    if (goesOn) ranges[ranges.length - 1] = { ...last, bytes: last.bytes + part.bytes };
    else ranges.push(part);
  }
  return ranges;
}
