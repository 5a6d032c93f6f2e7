import { hex } from '../base/words.js';
import { utf8Text } from '../base/text.js';
import { VMSTATE_LIMITS } from './limits.js';
import { RamRecords } from './ram-records.js';
import { findFooter, readSectionHead } from './sections.js';
import {
  SECTION,
  STREAM_MAGIC,
  STREAM_VERSION,
  type Configuration,
  type PageSink,
  type RamBlock,
  type Section,
  type StreamProblem,
} from './stream.js';
import { u32At, type Window } from './window.js';

type State = 'magic' | 'section' | 'ram' | 'foreign' | 'footer' | 'done';

/** Sections that come in parts begin with a name and go on with an id alone. */
interface Begun {
  readonly name: string;
  readonly instance: number;
  readonly version: number;
}

/**
 * Parses a stream up to its devices, whose lengths only the description at the end tells. It is given windows of the
 * stream, each of which begins at or before `position` and may be of any length; what is not whole in one is left for
 * the next. It holds no pages.
 */
export class StreamParser {
  /** Byte offset in the stream up to which all is parsed. It may lie behind the window: what is between is no record. */
  position = 0;
  configuration: Configuration | undefined;
  /** Whether sections end in a footer: machine types before 2.4 have none. */
  hasFooters: boolean | undefined;
  readonly sections: Section[] = [];
  readonly #ram: RamRecords;
  readonly #begun = new Map<number, Begun>();
  #state: State = 'magic';
  #open: Omit<Section, 'dataBytes'> | undefined;
  #problem: StreamProblem | undefined;

  /** @param sink is told each page. */
  constructor(sink: PageSink) {
    this.#ram = new RamRecords(sink);
  }

  get blocks(): readonly RamBlock[] {
    return this.#ram.blocks;
  }

  /** What ended the parsing before the devices. */
  get problem(): StreamProblem | undefined {
    return this.#problem;
  }

  /** Whether `position` is where the devices begin, or where nothing can be made of the stream. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Parses what is whole of the window. */
  parse(window: Window): void {
    let before: State | undefined;
    let from = -1;
    while (!this.isDone && (before !== this.#state || from !== this.position)) {
      before = this.#state;
      from = this.position;
      if (from > window.base + window.bytes.length) return;
      if (before === 'magic') this.#parseMagic(window);
      else if (before === 'section') this.#parseSection(window);
      else if (before === 'ram') this.#parseRam(window);
      else if (before === 'foreign') this.#parseForeign(window);
      else this.#parseFooter(window);
    }
  }

  /** There are no more bytes. */
  end(): void {
    if (this.isDone) return;
    this.#stop(this.position, 'the stream is cut off here');
  }

  #stop(at: number, text: string): void {
    this.#problem = { at, text };
    this.#close(undefined);
    this.#state = 'done';
  }

  /** Notes the section that is open, of this length. */
  #close(dataBytes: number | undefined): void {
    if (this.#open !== undefined) this.sections.push({ ...this.#open, dataBytes });
    this.#open = undefined;
  }

  #parseMagic({ bytes, base }: Window): void {
    const p = this.position - base;
    if (bytes.length - p < 8) return;
    if (u32At(bytes, p) !== STREAM_MAGIC || u32At(bytes, p + 4) !== STREAM_VERSION) {
      this.#stop(this.position, 'there is no VM state of version 3');
      return;
    }
    this.position += 8;
    this.#state = 'section';
  }

  #parseSection({ bytes, base }: Window): void {
    const p = this.position - base;
    const type = bytes[p];
    if (type === undefined) return;
    if (type === SECTION.configuration && this.configuration === undefined) {
      this.#parseConfiguration(bytes, p);
    } else if (type === SECTION.subsection && this.sections.length === 0) {
      this.#parseSubsection(bytes, p);
    } else if (type === SECTION.full || type === SECTION.end) this.#state = 'done';
    else if (type >= SECTION.start && type <= SECTION.last) this.#beginSection(bytes, p);
    else this.#stop(this.position, `no section has the type ${hex(type)}`);
  }

  #parseConfiguration(bytes: Uint8Array, p: number): void {
    if (p + 5 > bytes.length) return;
    const length = u32At(bytes, p + 1);
    if (length > 255) {
      this.#stop(this.position, `the machine's name claims ${hex(length)} bytes`);
      return;
    }
    if (p + 5 + length > bytes.length) return;
    const machine = utf8Text(bytes.subarray(p + 5, p + 5 + length));
    this.configuration = { machine, capabilities: [] };
    this.position += 5 + length;
  }

  #parseSubsection(bytes: Uint8Array, p: number): void {
    const nameBytes = bytes[p + 1];
    const dataAt = p + 2 + (nameBytes ?? 0) + 4;
    // No subsection that is known takes more.
    const isWhole = nameBytes !== undefined && dataAt + 16 <= bytes.length;
    if (!isWhole) return;
    const name = utf8Text(bytes.subarray(p + 2, dataAt - 4));
    if (name === 'configuration/target-page-bits') {
      const bits = u32At(bytes, dataAt);
      if (bits < 10 || bits > 16) {
        this.#stop(this.position, `pages have 2^${bits} bytes`);
        return;
      }
      this.#ram.form = { ...this.#ram.form, pageBytes: 2 ** bits };
      this.position += dataAt - p + 4;
    } else if (name === 'configuration/x-uuid') this.position += dataAt - p + 16;
    else if (name === 'configuration/capabilities') this.#parseCapabilities(bytes, p, dataAt);
    else this.#stop(this.position, 'the configuration has a part that is not known');
  }

  #parseCapabilities(bytes: Uint8Array, from: number, dataAt: number): void {
    const count = u32At(bytes, dataAt);
    if (count > VMSTATE_LIMITS.capabilitiesMax) {
      this.#stop(this.position, `the configuration claims ${count} capabilities`);
      return;
    }
    const capabilities: string[] = [];
    let p = dataAt + 4;
    for (let i = 0; i < count; i += 1) {
      const length = bytes[p];
      if (length === undefined || p + 1 + length > bytes.length) return;
      capabilities.push(utf8Text(bytes.subarray(p + 1, p + 1 + length)));
      p += 1 + length;
    }
    this.configuration = { machine: this.configuration?.machine ?? '', capabilities };
    const isMapped = capabilities.includes('mapped-ram');
    const hasAddresses = capabilities.includes('x-ignore-shared');
    this.#ram.form = { ...this.#ram.form, isMapped, hasAddresses };
    this.position += p - from;
  }

  #beginSection(bytes: Uint8Array, p: number): void {
    const at = this.position;
    if (this.sections.length >= VMSTATE_LIMITS.sectionsMax) {
      this.#stop(at, `there are more than ${VMSTATE_LIMITS.sectionsMax} sections`);
      return;
    }
    const type = bytes[p];
    if (type === SECTION.start) {
      const head = readSectionHead(bytes, p);
      if (head === undefined) return;
      const { id, name, instance, version, length } = head;
      this.#begun.set(id, { name, instance, version });
      this.#open = { kind: 'start', id, name, instance, version, at, dataAt: at + length };
    } else {
      if (p + 5 > bytes.length) return;
      const id = u32At(bytes, p + 1);
      const begun = this.#begun.get(id);
      if (begun === undefined) {
        this.#stop(at, `a part of section ${id} comes before its beginning`);
        return;
      }
      const kind = type === SECTION.part ? 'part' : 'last';
      this.#open = { kind, id, ...begun, at, dataAt: at + 5 };
    }
    this.position = this.#open.dataAt;
    this.#state = this.#open.name === 'ram' ? 'ram' : 'foreign';
  }

  #parseRam(window: Window): void {
    const end = this.#ram.parse(window, this.position);
    this.position = end.next;
    if (end.kind === 'wrong') this.#stop(end.next, end.text);
    if (end.kind === 'end') this.#state = 'footer';
  }

  /** Its length stands nowhere: it ends where a footer of its id is, with a section behind it. */
  #parseForeign({ bytes, base }: Window): void {
    const found = findFooter(bytes, this.position - base, this.#open!.id);
    this.position = base + found.at;
    if (found.isFound) this.#state = 'footer';
  }

  #parseFooter({ bytes, base }: Window): void {
    const p = this.position - base;
    const type = bytes[p];
    if (type === undefined) return;
    const { id, dataAt } = this.#open!;
    this.hasFooters ??= type === SECTION.footer;
    if (this.hasFooters) {
      if (p + 5 > bytes.length) return;
      if (type !== SECTION.footer || u32At(bytes, p + 1) !== id) {
        this.#stop(this.position, `section ${id} has no footer`);
        return;
      }
    }
    this.#close(this.position - dataAt);
    this.position += this.hasFooters ? 5 : 0;
    this.#state = 'section';
  }
}
