import type { CpuRegisters, SegmentRegister } from '../../../index.js';

/** Lower-case hex of so many digits at least. */
export const hex = (value: bigint, digits: number): string =>
  value.toString(16).padStart(digits, '0');

/** What of a processor's mode decides how its segments are shown. */
export interface SegmentMode {
  /** It runs code of 64 bits. */
  readonly isCode64: boolean;
  /** Long mode, be it with code of 32 bits. */
  readonly isLong: boolean;
  readonly isProtected: boolean;
}

const NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldt', 'tr'] as const;
/** Of the flags all else is no part of the descriptor. */
const FLAGS_SHOWN = 0x00ff_ff00n;

/**
 * Segments, the local table and the task register, as `info registers` prints them.
 *
 * QEMU: cpu_x86_dump_seg_cache.
 */
export function segmentLines(segments: CpuRegisters['segments'], mode: SegmentMode): string[] {
  return NAMES.map((name) => {
    const { selector, base, limit, flags } = segments[name];
    const digits = mode.isCode64 ? 16 : 8;
    const shown = [
      `${name.toUpperCase().padEnd(3)}=${hex(selector, 4)}`,
      hex(BigInt.asUintN(digits * 4, base), digits),
      hex(limit, 8),
      hex(flags & FLAGS_SHOWN, 8),
    ].join(' ');
    return `${shown}${descriptorText(segments[name], mode)}`;
  });
}

/** QEMU: DESC_P_MASK and those that follow it. */
const PRESENT = 15n;
const NO_SYSTEM = 12n;
const CODE = 11n;
const LARGE = 22n;
const LONG = 21n;

/** What the descriptor says, where the processor goes by descriptors. */
function descriptorText({ flags }: SegmentRegister, mode: SegmentMode): string {
  const has = (at: bigint): boolean => ((flags >> at) & 1n) === 1n;
  const letter = (at: bigint, text: string): string => (has(at) ? text : '-');
  if (!mode.isProtected || !has(PRESENT)) return '';
  const level = ` DPL=${(flags >> 13n) & 3n} `;
  if (!has(NO_SYSTEM)) {
    return `${level}${SYSTEM_TYPES[mode.isLong ? 'long' : 'short'][Number((flags >> 8n) & 15n)]!}`;
  }
  const accessed = letter(8n, 'A');
  if (has(CODE)) {
    const kind = has(LONG) ? 'CS64' : has(LARGE) ? 'CS32' : 'CS16';
    return `${level}${kind} [${letter(10n, 'C')}${letter(9n, 'R')}${accessed}]`;
  }
  const kind = has(LARGE) || mode.isLong ? 'DS  ' : 'DS16';
  return `${level}${kind} [${letter(10n, 'E')}${letter(9n, 'W')}${accessed}]`;
}

const SYSTEM_TYPES = {
  short: [
    ...['Reserved', 'TSS16-avl', 'LDT', 'TSS16-busy', 'CallGate16', 'TaskGate', 'IntGate16'],
    ...['TrapGate16', 'Reserved', 'TSS32-avl', 'Reserved', 'TSS32-busy', 'CallGate32', 'Reserved'],
    ...['IntGate32', 'TrapGate32'],
  ],
  long: [
    ...['<hiword>', 'Reserved', 'LDT', 'Reserved', 'Reserved', 'Reserved', 'Reserved', 'Reserved'],
    ...['Reserved', 'TSS64-avl', 'Reserved', 'TSS64-busy', 'CallGate64', 'Reserved', 'IntGate64'],
    'TrapGate64',
  ],
} as const;
