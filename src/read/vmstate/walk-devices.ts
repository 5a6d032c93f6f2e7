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
  const head = new Uint8Array(SECTION_HEAD_BYTES);
  while (sections.length < VMSTATE_LIMITS.sectionsMax) {
    if (p >= source.mappedBytes) return stop('the stream is cut off here');
    await source.readBatch([{ at: p, into: head }]);
    if (head[0] === SECTION.end) return done(p + 1);
    const { length: headBytes, ...named } = readSectionHead(head, 0)!;
    if (head[0] !== SECTION.full || named.name === '') {
      return stop('no device begins here, and no end of the stream');
    }
    const dataAt = p + headBytes;
    const told = lengths.of(named.name, named.instance);
    const isRight =
      told !== undefined && (!hasFooters || (await isFooter(source, dataAt + told, named.id)));
    const dataBytes = isRight
      ? told
      : hasFooters
        ? await lengthByFooter(source, dataAt, named.id)
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

async function isFooter(source: VmStateSource, at: number, id: number): Promise<boolean> {
  const footer = new Uint8Array(FOOTER_BYTES);
  await source.readBatch([{ at, into: footer }]);
  return footer[0] === SECTION.footer && u32At(footer, 1) === id;
}

async function lengthByFooter(
  source: VmStateSource,
  dataAt: number,
  id: number,
): Promise<number | undefined> {
  const windows = new Windows(source, dataAt);
  let position = dataAt;
  while (position - dataAt < VMSTATE_LIMITS.deviceBytesMax && (await windows.moveTo(position))) {
    const { bytes, base } = windows.window;
    const found = findFooter(bytes, position - base, id);
    position = base + found.at;
    if (found.isFound) return position - dataAt;
  }
  return undefined;
}
