import type { CpuRegisters, SegmentRegister } from '../../../index.js';

const hex = (value: bigint, digits: number): string => value.toString(16).padStart(digits, '0');

/** Registers of one processor, laid out as QEMU's monitor has them. */
export function registersLines(registers: CpuRegisters): string[] {
  const { general: g, segments: s, control, debug, fpu, xmm } = registers;
  const long = (name: string, value: bigint): string => `${name.padEnd(3)}=${hex(value, 16)}`;
  const segment = (name: string, one: SegmentRegister): string => {
    const start = `${name.padEnd(3)}=${hex(one.selector, 4)} ${hex(one.base, 16)}`;
    return `${start} ${hex(one.limit, 8)} ${hex(one.flags, 8)}`;
  };
  const table = (name: string, { base, limit }: SegmentRegister): string => {
    return `${name}=     ${hex(base, 16)} ${hex(limit, 8)}`;
  };
  const halted = registers.isHalted === undefined ? '' : ` HLT=${registers.isHalted ? 1 : 0}`;
  const [cr0, cr2, cr3, cr4] = control;
  const top = (fpu.status >> 11n) & 7n;
  return [
    `CPU#${registers.cpu}`,
    [long('RAX', g.rax), long('RBX', g.rbx), long('RCX', g.rcx), long('RDX', g.rdx)].join(' '),
    [long('RSI', g.rsi), long('RDI', g.rdi), long('RBP', g.rbp), long('RSP', g.rsp)].join(' '),
    [long('R8', g.r8), long('R9', g.r9), long('R10', g.r10), long('R11', g.r11)].join(' '),
    [long('R12', g.r12), long('R13', g.r13), long('R14', g.r14), long('R15', g.r15)].join(' '),
    `${long('RIP', registers.rip)} RFL=${hex(registers.rflags, 8)}${halted}`,
    segment('ES', s.es),
    segment('CS', s.cs),
    segment('SS', s.ss),
    segment('DS', s.ds),
    segment('FS', s.fs),
    segment('GS', s.gs),
    segment('LDT', s.ldt),
    segment('TR', s.tr),
    table('GDT', s.gdt),
    table('IDT', s.idt),
    `CR0=${hex(cr0, 8)} CR2=${hex(cr2, 16)} CR3=${hex(cr3, 16)} CR4=${hex(cr4, 8)}`,
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
    ...pairs(
      xmm.map((value, i) => {
        const name = `XMM${String(i).padStart(2, '0')}`;
        return `${name}=${hex(value >> 64n, 16)} ${hex(value & (2n ** 64n - 1n), 16)}`;
      }),
    ),
  ];
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
