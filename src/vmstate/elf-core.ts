import type { CpuRegisters, SegmentRegister } from './registers.js';

/** Sizes of the structures. Source: the ELF specification; notes: QEMU's `target/i386/arch_dump.c`. */
const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const PROGRAM_BYTES = 56;
const PRSTATUS_BYTES = 0x150;
const QEMU_NOTE_BYTES = 0x1b8;
const NOTE_HEAD_BYTES = 12;
/** Both names take 8 bytes with their padding. */
const NOTE_NAME_BYTES = 8;

const TYPE_CORE = 4;
const MACHINE_X86_64 = 62;
const PT = { load: 1, note: 4 } as const;
const NT_PRSTATUS = 1;
const SHT_STRTAB = 3;
const SECTION_NAMES = '\0.shstrtab\0';

/** What lies around the memory in a core file. */
export interface ElfHead {
  readonly head: Uint8Array;
  /** Behind the memory. */
  readonly tail: Uint8Array;
  readonly memoryAt: number;
}

/**
 * Headers and notes of a core file of 64 bits, little-endian.
 *
 * @param segments stretches of memory by guest-physical addresses, one behind the other in the file.
 */
export function elfHead(
  segments: readonly { readonly address: number; readonly bytes: number }[],
  cpus: readonly CpuRegisters[],
): ElfHead {
  const programsAt = HEADER_BYTES + 2 * SECTION_BYTES;
  const notesAt = programsAt + (segments.length + 1) * PROGRAM_BYTES;
  const notes = [
    ...cpus.map((cpu) => note('CORE', NT_PRSTATUS, prstatus(cpu))),
    ...cpus.map((cpu) => note('QEMU', 0, qemuNote(cpu))),
  ];
  const noteBytes = notes.reduce((sum, { length }) => sum + length, 0);
  const memoryAt = notesAt + noteBytes;
  const memoryEnd = segments.reduce((sum, { bytes }) => sum + bytes, memoryAt);
  const tail = new TextEncoder().encode(SECTION_NAMES);
  const out = new Writer(memoryAt);
  out.bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  out.at = 16;
  out.u16(TYPE_CORE, MACHINE_X86_64);
  out.u32(1);
  out.u64(0, programsAt, HEADER_BYTES);
  out.u32(0);
  out.u16(HEADER_BYTES, PROGRAM_BYTES, segments.length + 1, SECTION_BYTES, 2, 1);
  out.at = HEADER_BYTES + SECTION_BYTES;
  out.u32(1, SHT_STRTAB);
  out.u64(0, 0, memoryEnd, tail.length);
  out.at = programsAt;
  out.u32(PT.note, 0);
  out.u64(notesAt, 0, 0, noteBytes, noteBytes, 0);
  let at = memoryAt;
  for (const { address, bytes } of segments) {
    out.u32(PT.load, 0);
    // As QEMU has it without paging: addresses are physical, in both places.
    out.u64(at, address, address, bytes, bytes, 0);
    at += bytes;
  }
  for (const one of notes) {
    out.bytes.set(one, out.at);
    out.at += one.length;
  }
  return { head: out.bytes, tail, memoryAt };
}

/** Writes little-endian numbers one behind the other. */
class Writer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  u16(...values: readonly number[]): void {
    for (const value of values) {
      this.#view.setUint16(this.at, value, true);
      this.at += 2;
    }
  }

  u32(...values: readonly (number | bigint)[]): void {
    for (const value of values) {
      this.#view.setUint32(this.at, Number(value), true);
      this.at += 4;
    }
  }

  u64(...values: readonly (number | bigint)[]): void {
    for (const value of values) {
      this.#view.setBigUint64(this.at, BigInt(value), true);
      this.at += 8;
    }
  }
}

function note(name: string, type: number, content: Uint8Array): Uint8Array {
  const out = new Writer(NOTE_HEAD_BYTES + NOTE_NAME_BYTES + content.length);
  out.u32(name.length + 1, content.length, type);
  out.bytes.set(new TextEncoder().encode(name), out.at);
  out.bytes.set(content, NOTE_HEAD_BYTES + NOTE_NAME_BYTES);
  return out.bytes;
}

/** The registers as Linux's cores have them. */
function prstatus({ cpu, general: g, rip, rflags, segments: s }: CpuRegisters): Uint8Array {
  const out = new Writer(PRSTATUS_BYTES);
  out.at = 32;
  out.u32(cpu + 1);
  out.at = 112;
  out.u64(g.r15, g.r14, g.r13, g.r12, g.rbp, g.rbx, g.r11, g.r10, g.r9, g.r8);
  // Behind rdi comes the number of a system call, which there is none of.
  out.u64(g.rax, g.rcx, g.rdx, g.rsi, g.rdi, 0, rip, s.cs.selector, rflags, g.rsp);
  out.u64(s.ss.selector, s.fs.base, s.gs.base, s.ds.selector, s.es.selector);
  out.u64(s.fs.selector, s.gs.selector);
  return out.bytes;
}

/** What QEMU adds for debuggers of kernels. */
function qemuNote(registers: CpuRegisters): Uint8Array {
  const { general: g, rip, rflags, segments: s, control } = registers;
  const out = new Writer(QEMU_NOTE_BYTES);
  out.u32(1, QEMU_NOTE_BYTES);
  out.u64(g.rax, g.rbx, g.rcx, g.rdx, g.rsi, g.rdi, g.rsp, g.rbp);
  out.u64(g.r8, g.r9, g.r10, g.r11, g.r12, g.r13, g.r14, g.r15, rip, rflags);
  for (const one of [s.cs, s.ds, s.es, s.fs, s.gs, s.ss, s.ldt, s.tr, s.gdt, s.idt]) {
    writeSegment(out, one);
  }
  // There is no CR1.
  out.u64(control[0], 0, control[1], control[2], control[3], registers.kernelGsBase);
  return out.bytes;
}

function writeSegment(out: Writer, { selector, limit, flags, base }: SegmentRegister): void {
  out.u32(selector, limit, flags, 0);
  out.u64(base);
}
