import { bigEndian, type DeviceData } from './device.js';

/** A segment or table register. */
export interface SegmentRegister {
  readonly selector: bigint;
  readonly base: bigint;
  readonly limit: bigint;
  readonly flags: bigint;
}

/** The registers of one virtual processor, as it was saved. */
export interface CpuRegisters {
  readonly cpu: number;
  readonly general: Readonly<Record<GeneralRegister, bigint>>;
  readonly rip: bigint;
  readonly rflags: bigint;
  /** QEMU's own: of the mode that the processor is in. */
  readonly hflags: bigint;
  /** Address bits that the processor has: bit 20 may be masked out. */
  readonly a20Mask: bigint;
  readonly segments: Readonly<Record<SegmentName, SegmentRegister>>;
  /** CR0, 2, 3 and 4. */
  readonly control: readonly [bigint, bigint, bigint, bigint];
  /** DR0 to 7. */
  readonly debug: readonly bigint[];
  readonly efer: bigint;
  readonly kernelGsBase: bigint;
  readonly fpu: {
    readonly control: bigint;
    readonly status: bigint;
    /** A bit for each register that holds something. */
    readonly tags: bigint;
    readonly mxcsr: bigint;
    readonly registers: readonly { readonly mantissa: bigint; readonly exponent: bigint }[];
  };
  /** XMM0 and on. */
  readonly xmm: readonly bigint[];
  /** The high halves of YMM0 and on; none where the stream lacks them. */
  readonly ymmHigh: readonly bigint[];
  /** Which of the registers the guest has switched on. */
  readonly xcr0: bigint;
  /** Undefined: the stream does not tell. */
  readonly isHalted: boolean | undefined;
}

/** In the order in which they are saved, which is that of their numbers in machine code. */
const GENERAL = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
] as const;
/** A general register of 64 bits. */
export type GeneralRegister = (typeof GENERAL)[number];

const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;
const TABLES = ['ldt', 'tr', 'gdt', 'idt'] as const;
/** A segment, or a register of a table of descriptors. */
export type SegmentName = (typeof SEGMENTS)[number] | (typeof TABLES)[number];

/** Bytes of a saved segment, of an FPU register and of what an XMM register has of it. */
const SEGMENT_BYTES = 20;
const FPU_BYTES = 10;
const XMM_BYTES = 16;

/**
 * The registers of an x86 processor, from the data of a section `cpu`; undefined where it lacks any of them, as those of
 * other architectures do.
 *
 * @param common data of the section `cpu_common` of the same processor.
 */
export function registersOf(
  cpu: number,
  data: DeviceData,
  common: DeviceData | undefined,
): CpuRegisters | undefined {
  const isX86 = ['env.regs', 'env.eip', 'env.segs', 'env.cr[0]'].every((path) => {
    return data.bytesOf(path) !== undefined;
  });
  if (!isX86) return undefined;
  const one = (path: string, element = 0): bigint => data.numberOf(path, element) ?? 0n;
  const segment = (path: string, index = 0): SegmentRegister => {
    const bytes = data.bytesOf(path)?.subarray(index * SEGMENT_BYTES) ?? new Uint8Array(0);
    return {
      selector: numberIn(bytes, 0, 4),
      base: numberIn(bytes, 4, 8),
      limit: numberIn(bytes, 12, 4),
      flags: numberIn(bytes, 16, 4),
    };
  };
  const halted = common?.numberOf('halted');
  return {
    cpu,
    general: recordOf(GENERAL, (_, i) => one('env.regs', i)),
    rip: one('env.eip'),
    rflags: one('env.eflags'),
    hflags: one('env.hflags'),
    a20Mask: one('env.a20_mask'),
    segments: {
      ...recordOf(SEGMENTS, (_, i) => segment('env.segs', i)),
      ...recordOf(TABLES, (name) => segment(`env.${name}`)),
    },
    control: [one('env.cr[0]'), one('env.cr[2]'), one('env.cr[3]'), one('env.cr[4]')],
    debug: Array.from({ length: 8 }, (_, i) => one('env.dr', i)),
    efer: one('env.efer'),
    kernelGsBase: one('env.kernelgsbase'),
    fpu: fpuOf(data, one),
    xmm: xmmOf(data.bytesOf('env.xmm_regs[0]') ?? data.bytesOf('env.xmm_regs')),
    ymmHigh: xmmOf(data.bytesOf('env.xmm_regs[1]')),
    xcr0: one('env.xcr0'),
    isHalted: halted === undefined ? undefined : halted !== 0n,
  };
}

function fpuOf(data: DeviceData, one: (path: string) => bigint): CpuRegisters['fpu'] {
  const saved = data.bytesOf('env.fpregs');
  return {
    control: one('env.fpuc'),
    status: one('env.fpus_vmstate'),
    tags: one('env.fptag_vmstate'),
    mxcsr: one('env.mxcsr'),
    registers:
      saved === undefined
        ? []
        : splitBy(saved, FPU_BYTES).map((bytes) => ({
            mantissa: numberIn(bytes, 0, 8),
            exponent: numberIn(bytes, 8, 2),
          })),
  };
}

/** The low half of each comes first, as it does in the high halves of YMM registers. */
function xmmOf(saved: Uint8Array | undefined): bigint[] {
  if (saved === undefined) return [];
  return splitBy(saved, XMM_BYTES).map((bytes) => {
    return (numberIn(bytes, 8, 8) << 64n) | numberIn(bytes, 0, 8);
  });
}

function splitBy(bytes: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: Math.floor(bytes.length / length) }, (_, i) => {
    return bytes.subarray(i * length, (i + 1) * length);
  });
}

function recordOf<K extends string, V>(
  names: readonly K[],
  value: (name: K, index: number) => V,
): Record<K, V> {
  return Object.fromEntries(names.map((name, i) => [name, value(name, i)])) as Record<K, V>;
}

function numberIn(bytes: Uint8Array, from: number, length: number): bigint {
  return bigEndian(bytes.subarray(from, from + length));
}
