import { hex } from '../base/words.js';
import { utf8Text } from '../base/text.js';
import { PAGE_BYTES, VMSTATE_LIMITS } from './limits.js';
import type { PageSink, RamBlock } from './stream.js';
import { u32At, u64At, type Window } from './window.js';

const FLAG = {
  byte: 0x02,
  blocks: 0x04,
  page: 0x08,
  end: 0x10,
  sameBlock: 0x20,
  compressed: 0x100,
  flush: 0x200,
} as const;

/** How a stretch of records ended: at the end of the section, for want of bytes, or with what is wrong. */
export type RecordsEnd =
  | { readonly kind: 'end' | 'more'; readonly next: number }
  | { readonly kind: 'wrong'; readonly next: number; readonly text: string };

/** How the capabilities of a stream change what RAM looks like in it. */
export interface RamForm {
  readonly pageBytes: number;
  readonly isMapped: boolean;
  readonly hasAddresses: boolean;
}

/** Reads the data of RAM sections: records of 8 bytes and what follows them. It keeps blocks, never pages. */
export class RamRecords {
  readonly blocks: RamBlock[] = [];
  form: RamForm = { pageBytes: PAGE_BYTES, isMapped: false, hasAddresses: false };
  readonly #byName = new Map<string, RamBlock>();
  readonly #sink: PageSink;
  #last: RamBlock | undefined;
  /** Bytes of blocks that the list has yet to tell. */
  #untold = 0;
  /** Bytes of blocks that all lists have claimed. */
  #claimed = 0;

  constructor(sink: PageSink) {
    this.#sink = sink;
  }

  /**
   * Takes whole records only.
   *
   * @param from byte offset in the stream of the first one.
   * @returns where the next one begins; it may lie behind the window.
   */
  parse({ bytes, base }: Window, from: number): RecordsEnd {
    let p = from - base;
    while (p <= bytes.length) {
      if (this.#untold > 0) {
        const end = this.#parseBlock(bytes, p, base);
        if (typeof end === 'object') return end;
        p = end;
        continue;
      }
      if (bytes.length - p < 8) break;
      const low = u32At(bytes, p + 4);
      const flags = low & (this.form.pageBytes - 1);
      const offset = u32At(bytes, p) * 2 ** 32 + (low - flags);
      if ((flags & (FLAG.byte | FLAG.page | FLAG.compressed)) !== 0) {
        const end = this.#parsePage(bytes, p, base, flags, offset);
        if (typeof end === 'object') return end;
        p = end;
      } else if ((flags & FLAG.blocks) !== 0) {
        this.#claimed += offset;
        if (this.#claimed > VMSTATE_LIMITS.ramBytesMax) {
          return wrong(base + p, `the list of RAM blocks claims ${hex(offset)} bytes`);
        }
        this.#untold = offset;
        p += 8;
      } else if (flags === FLAG.end) return { kind: 'end', next: base + p + 8 };
      else if (flags === FLAG.flush) p += 8;
      else return wrong(base + p, `a record of RAM has the flags ${hex(flags)}`);
    }
    return { kind: 'more', next: base + p };
  }

  #parseBlock(bytes: Uint8Array, p: number, base: number): number | RecordsEnd {
    const { isMapped, hasAddresses } = this.form;
    const nameBytes = bytes[p];
    const more: RecordsEnd = { kind: 'more', next: base + p };
    if (nameBytes === undefined) return more;
    const sizeAt = p + 1 + nameBytes;
    const behind = sizeAt + 8 + (hasAddresses ? 8 : 0);
    const end = behind + (isMapped ? 28 : 0);
    if (end > bytes.length) return more;
    const name = utf8Text(bytes.subarray(p + 1, sizeAt));
    const size = u64At(bytes, sizeAt);
    if (size === 0 || size > this.#untold) {
      return wrong(base + p, `a RAM block claims ${hex(size)} bytes of ${hex(this.#untold)}`);
    }
    if (this.blocks.length >= VMSTATE_LIMITS.blocksMax) {
      return wrong(base + p, `there are more than ${VMSTATE_LIMITS.blocksMax} RAM blocks`);
    }
    const mapped = isMapped
      ? {
          pageBytes: u64At(bytes, behind + 4),
          bitmapAt: u64At(bytes, behind + 12),
          pagesAt: u64At(bytes, behind + 20),
        }
      : undefined;
    if (mapped !== undefined) {
      const { pageBytes, bitmapAt, pagesAt } = mapped;
      const bitmapEnd = bitmapAt + Math.ceil(size / PAGE_BYTES / 8);
      const isSound = bitmapAt >= base + end && pagesAt >= bitmapEnd && pagesAt <= 2 ** 52;
      if (pageBytes !== PAGE_BYTES || !isSound) {
        return wrong(base + p, 'the pages of a RAM block lie where they can not');
      }
    }
    const block = { index: this.blocks.length, name, bytes: size, mapped };
    this.blocks.push(block);
    this.#byName.set(name, block);
    this.#untold -= size;
    if (mapped === undefined) return end;
    const next = mapped.pagesAt + size - base;
    return next > bytes.length ? { kind: 'more', next: base + next } : next;
  }

  #parsePage(
    bytes: Uint8Array,
    from: number,
    base: number,
    flags: number,
    offset: number,
  ): number | RecordsEnd {
    const more: RecordsEnd = { kind: 'more', next: base + from };
    const { pageBytes } = this.form;
    let p = from + 8;
    let block = this.#last;
    if ((flags & FLAG.sameBlock) === 0) {
      const nameBytes = bytes[p];
      if (nameBytes === undefined || p + 1 + nameBytes > bytes.length) return more;
      const name = utf8Text(bytes.subarray(p + 1, p + 1 + nameBytes));
      block = this.#byName.get(name);
      p += 1 + nameBytes;
    }
    if (
      block === undefined ||
      offset + pageBytes > Math.ceil(block.bytes / pageBytes) * pageBytes
    ) {
      return wrong(base + from, `a page at ${hex(offset)} is of no RAM block`);
    }
    const isPacked = (flags & FLAG.compressed) !== 0;
    const kind = isPacked ? 'compressed' : (flags & FLAG.page) !== 0 ? 'data' : 'byte';
    let length = kind === 'data' ? pageBytes : 1;
    if (isPacked) {
      if (p + 4 > bytes.length) return more;
      length = u32At(bytes, p);
      if (length === 0 || length > VMSTATE_LIMITS.packedPageBytesMax) {
        return wrong(base + from, `a compressed page claims ${hex(length)} bytes`);
      }
      p += 4;
    }
    if (p + length > bytes.length) return more;
    this.#last = block;
    this.#sink(block, offset, kind, base + p, length, pageBytes);
    return p + length;
  }
}

function wrong(next: number, text: string): RecordsEnd {
  return { kind: 'wrong', next, text };
}
