import type { CpuRegisters } from '../../../index.js';
import { hex, segmentLines } from './vmstate-segments.js';

/** QEMU: HF_CS64_MASK, HF_LMA_MASK, HF_SMM_MASK and HF_INHIBIT_IRQ_MASK of its own flags. */
const CODE_64 = 15n;
const LONG_MODE = 14n;
const MANAGEMENT = 19n;
const INHIBITED = 3n;
/** QEMU: what `info registers` has a letter for, and the bit in the flags of x86. */
const FLAGS = Object.entries({ D: 10n, O: 11n, S: 7n, Z: 6n, A: 4n, P: 2n, C: 0n });
/** Bits of XCR0 for XMM and YMM registers. */
const SSE_AND_AVX = 6n;

/**
 * Registers of one processor as `info registers` prints them for the mode that it is in.
 *
 * QEMU: x86_cpu_dump_state.
 */
export function registersLines(registers: CpuRegisters): string[] {
  const { hflags, segments, debug, fpu } = registers;
  const isCode64 = bit(hflags, CODE_64) === 1n;
  const isLong = bit(hflags, LONG_MODE) === 1n;
  const top = (fpu.status >> 11n) & 7n;
  return [
    `CPU#${registers.cpu}`,
    ...(isCode64 ? generalLines64(registers) : generalLines32(registers)),
    ...segmentLines(segments, {
      isCode64,
      isLong,
      isProtected: bit(registers.control[0], 0n) === 1n,
    }),
    ...controlLines(registers, isLong ? 16 : 8),
    [0, 1, 2, 3].map((i) => `DR${i}=${hex(debug[i]!, 16)}`).join(' '),
    [6, 7].map((i) => `DR${i}=${hex(debug[i]!, 16)}`).join(' '),
    `EFER=${hex(registers.efer, 16)}`,
    `FCW=${hex(fpu.control, 4)} FSW=${hex(fpu.status, 4)} [ST=${top}] ` +
      `FTW=${hex(fpu.tags & 0xffn, 2)} MXCSR=${hex(fpu.mxcsr, 8)}`,
    ...pairs(
      fpu.registers.map(({ mantissa, exponent }, i) => {
        return `FPR${i}=${hex(mantissa, 16)} ${hex(exponent, 4)}`;
      }),
    ),
    ...vectorLines(registers, isCode64 ? 16 : 8),
  ];
}

const bit = (value: bigint, at: bigint): bigint => (value >> at) & 1n;

function generalLines64(registers: CpuRegisters): string[] {
  const { general: g } = registers;
  const long = (name: string, value: bigint): string => `${name.padEnd(3)}=${hex(value, 16)}`;
  return [
    [long('RAX', g.rax), long('RBX', g.rbx), long('RCX', g.rcx), long('RDX', g.rdx)].join(' '),
    [long('RSI', g.rsi), long('RDI', g.rdi), long('RBP', g.rbp), long('RSP', g.rsp)].join(' '),
    [long('R8', g.r8), long('R9', g.r9), long('R10', g.r10), long('R11', g.r11)].join(' '),
    [long('R12', g.r12), long('R13', g.r13), long('R14', g.r14), long('R15', g.r15)].join(' '),
    `${long('RIP', registers.rip)} RFL=${hex(registers.rflags, 8)} ${stateText(registers)}`,
  ];
}

function generalLines32(registers: CpuRegisters): string[] {
  const { general: g } = registers;
  const short = (name: string, value: bigint): string => `${name}=${hex(value & 0xffff_ffffn, 8)}`;
  return [
    [short('EAX', g.rax), short('EBX', g.rbx), short('ECX', g.rcx), short('EDX', g.rdx)].join(' '),
    [short('ESI', g.rsi), short('EDI', g.rdi), short('EBP', g.rbp), short('ESP', g.rsp)].join(' '),
    `${short('EIP', registers.rip)} EFL=${hex(registers.rflags, 8)} ${stateText(registers)}`,
  ];
}

/** Flags, and what else the processor is at. */
function stateText({ rflags, hflags, segments, a20Mask, isHalted }: CpuRegisters): string {
  const flags = FLAGS.map(([letter, at]) => (bit(rflags, at) === 1n ? letter : '-')).join('');
  // QEMU takes the privilege level from there when it loads a machine.
  const level = (segments.ss.flags >> 13n) & 3n;
  const halted = isHalted === undefined ? '' : ` HLT=${isHalted ? 1 : 0}`;
  const [inhibited, management] = [bit(hflags, INHIBITED), bit(hflags, MANAGEMENT)];
  return `[${flags}] CPL=${level} II=${inhibited} A20=${bit(a20Mask, 20n)} SMM=${management}${halted}`;
}

function controlLines({ segments, control }: CpuRegisters, digits: 8 | 16): string[] {
  const [cr0, cr2, cr3, cr4] = control;
  const address = (value: bigint): string => hex(BigInt.asUintN(digits * 4, value), digits);
  return [
    ...(['gdt', 'idt'] as const).map((name) => {
      const { base, limit } = segments[name];
      return `${name.toUpperCase()}=     ${address(base)} ${hex(limit, 8)}`;
    }),
    `CR0=${hex(cr0, 8)} CR2=${address(cr2)} CR3=${address(cr3)} CR4=${hex(cr4, 8)}`,
  ];
}

/** YMM registers where the guest has switched them on. */
function vectorLines({ xmm, ymmHigh, xcr0 }: CpuRegisters, count: number): string[] {
  const halves = (value: bigint): string =>
    `${hex(value >> 64n, 16)} ${hex(value & (2n ** 64n - 1n), 16)}`;
  const named = (letter: string, i: number): string => `${letter}MM${String(i).padStart(2, '0')}`;
  const low = xmm.slice(0, count);
  if ((xcr0 & SSE_AND_AVX) === SSE_AND_AVX && ymmHigh.length >= low.length) {
    return low.map((value, i) => `${named('Y', i)}=${halves(ymmHigh[i]!)} ${halves(value)}`);
  }
  return pairs(low.map((value, i) => `${named('X', i)}=${halves(value)}`));
}

function pairs(cells: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 2) lines.push(cells.slice(i, i + 2).join(' '));
  return lines;
}

/** The same for programs: all values in hex, since many are past 2^53. docs/schema/vmstate.json. */
export function registersJson(registers: CpuRegisters): Record<string, unknown> {
  const word = (value: bigint): string => `0x${value.toString(16)}`;
  const { segments, fpu, control } = registers;
  const each = <T>(values: Readonly<Record<string, T>>, of: (one: T) => unknown): object => {
    return Object.fromEntries(Object.entries(values).map(([name, one]) => [name, of(one)]));
  };
  return {
    cpu: registers.cpu,
    ...(registers.isHalted !== undefined && { halted: registers.isHalted }),
    general: each(registers.general, word),
    rip: word(registers.rip),
    rflags: word(registers.rflags),
    segments: each(segments, ({ selector, base, limit, flags }) => ({
      selector: word(selector),
      base: word(base),
      limit: word(limit),
      flags: word(flags),
    })),
    cr0: word(control[0]),
    cr2: word(control[1]),
    cr3: word(control[2]),
    cr4: word(control[3]),
    debug: registers.debug.map(word),
    efer: word(registers.efer),
    'kernel-gs-base': word(registers.kernelGsBase),
    fpu: {
      control: word(fpu.control),
      status: word(fpu.status),
      tags: word(fpu.tags),
      mxcsr: word(fpu.mxcsr),
      registers: fpu.registers.map(({ mantissa, exponent }) => ({
        mantissa: word(mantissa),
        exponent: word(exponent),
      })),
    },
    xmm: registers.xmm.map(word),
  };
}
