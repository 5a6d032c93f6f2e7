import type { DeviceDescription, StreamDescription } from '../../vmstate/description.js';
import { VMSTATE_LIMITS } from '../../vmstate/limits.js';
import {
  findFooter,
  FOOTER_BYTES,
  readSectionHead,
  SECTION_HEAD_BYTES,
} from '../../vmstate/sections.js';
import { SECTION, type Section, type StreamProblem } from '../../vmstate/stream.js';
import { u32At } from '../../vmstate/window.js';
import type { VmStateSource } from './source.js';
import { Windows } from './windows.js';

/** Sections of devices, and where they end. */
export interface WalkedDevices {
  readonly sections: readonly Section[];
  readonly problems: readonly StreamProblem[];
  /** Behind the end mark; undefined: it was not reached. */
  readonly end: number | undefined;
  readonly parsedTo: number;
}

/**
 * Goes from device to device by the lengths that the description tells, and makes sure of each by its footer. Where there
 * is no description, or it is wrong, a section ends where a footer of its id is.
 */
export async function walkDevices(
  source: VmStateSource,
  from: number,
  description: StreamDescription | undefined,
  hasFooters: boolean,
): Promise<WalkedDevices> {
  const lengths = new SectionLengths(description?.devices ?? []);
  const sections: Section[] = [];
  const problems: StreamProblem[] = [];
  let p = from;
  const done = (end?: number): WalkedDevices => ({ sections, problems, end, parsedTo: end ?? p });
  const stop = (text: string): WalkedDevices => {
    problems.push({ at: p, text });
    return done();
  };
  const reader = new SectionReader(source, from);
  while (sections.length < VMSTATE_LIMITS.sectionsMax) {
    if (p >= source.mappedBytes) return stop('the stream is cut off here');
    const head = await reader.readHead(p);
    if (head[0] === SECTION.end) return done(p + 1);
    const { length: headBytes, ...named } = readSectionHead(head, 0)!;
    if (head[0] !== SECTION.full || named.name === '') {
      return stop('no device begins here, and no end of the stream');
    }
    const dataAt = p + headBytes;
    const told = lengths.of(named.name, named.instance);
    const isRight =
      told !== undefined && (!hasFooters || (await isFooter(reader, dataAt + told, named.id)));
    const dataBytes = isRight
      ? told
      : hasFooters
        ? await reader.lengthByFooter(dataAt, named.id)
        : undefined;
    if (!isRight && described(description)) {
      problems.push({ at: p, text: 'the section of a device is not as long as described' });
    }
    if (problems.length > VMSTATE_LIMITS.descriptionTriesMax) return done();
    sections.push({ kind: 'full', ...named, at: p, dataAt, dataBytes });
    if (dataBytes === undefined) return stop('nobody can tell where the section of a device ends');
    p = dataAt + dataBytes + (hasFooters ? FOOTER_BYTES : 0);
  }
  return stop(`there are more than ${VMSTATE_LIMITS.sectionsMax} sections`);
}

const described = (description: StreamDescription | undefined): boolean =>
  description !== undefined;

/** The lengths of sections: the description has them in the order of the stream. */
class SectionLengths {
  readonly #devices: ReadonlyMap<string, DeviceDescription>;

  constructor(devices: readonly DeviceDescription[]) {
    this.#devices = new Map(devices.map((one) => [keyOf(one.name, one.instance), one]));
  }

  of(name: string, instance: number): number | undefined {
    return this.#devices.get(keyOf(name, instance))?.bytes;
  }
}

/** QEMU writes instances as unsigned numbers to the stream and as signed ones to the description. */
function keyOf(name: string, instance: number): string {
  return `${instance | 0} ${name}`;
}

async function isFooter(reader: SectionReader, at: number, id: number): Promise<boolean> {
  const footer = await reader.readFrom(at, FOOTER_BYTES);
  return footer[0] === SECTION.footer && u32At(footer, 1) === id;
}

/** The stream from one place on. Small sections in a row are read together: there may be very many. */
class SectionReader {
  readonly #source: VmStateSource;
  readonly #windows: Windows;

  constructor(source: VmStateSource, from: number) {
    this.#source = source;
    this.#windows = new Windows(source, from);
  }

  /** The head of a section; zeros behind the end of the stream. Places must ascend. */
  async readHead(at: number): Promise<Uint8Array> {
    if (!this.#has(at, SECTION_HEAD_BYTES)) await this.#windows.moveTo(at);
    return this.readFrom(at, SECTION_HEAD_BYTES);
  }

  /** So many bytes, from anywhere. */
  async readFrom(at: number, length: number): Promise<Uint8Array> {
    const { bytes, base } = this.#windows.window;
    if (this.#has(at, length)) return bytes.subarray(at - base, at - base + length);
    const into = new Uint8Array(length);
    await this.#source.readBatch([{ at, into }]);
    return into;
  }

  #has(at: number, length: number): boolean {
    const { bytes, base } = this.#windows.window;
    return at >= base && at + length <= base + bytes.length;
  }

  /** Bytes from there to the next footer of a section; undefined where there is none. Places must ascend. */
  async lengthByFooter(dataAt: number, id: number): Promise<number | undefined> {
    let position = dataAt;
    for (;;) {
      const { bytes, base } = this.#windows.window;
      if (position < base + bytes.length) {
        const found = findFooter(bytes, position - base, id);
        position = base + found.at;
        if (found.isFound) return position - dataAt;
      }
      if (position - dataAt >= VMSTATE_LIMITS.deviceBytesMax) return undefined;
      if (!(await this.#windows.moveTo(position))) return undefined;
    }
  }
}
