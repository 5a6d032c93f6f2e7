import { isQsnapError } from '../../errors.js';
import { parseDescription, type DeviceDescription } from '../../vmstate/description.js';
import type { Configuration, RamBlock, Section, StreamProblem } from '../../vmstate/stream.js';
import { VMSTATE_LIMITS } from '../../vmstate/limits.js';
import { StreamParser } from '../../vmstate/stream-parser.js';
import { DeviceData } from '../../vmstate/device.js';
import { findDescription } from './find-description.js';
import { mappedRuns } from './mapped-runs.js';
import type { VmStateSource } from './source.js';
import { walkDevices } from './walk-devices.js';
import { Windows } from './windows.js';

/** How many pages of a RAM block are stored in which way; what is in none of them is zeros. */
export interface PageCounts {
  /** Pages of one byte that repeats, mostly zero. */
  byte: number;
  data: number;
  compressed: number;
}

/** What a VM state has, without what its memory holds. */
export interface VmStateSurvey {
  readonly configuration: Configuration | undefined;
  readonly blocks: readonly RamBlock[];
  /** By the position of the block. */
  readonly pages: readonly PageCounts[];
  readonly sections: readonly Section[];
  /** Devices as the description at the end of the stream tells them; undefined without one. */
  readonly devices: readonly DeviceDescription[] | undefined;
  readonly pageBytes: number | undefined;
  /** Where the description lies in the stream. */
  readonly descriptionAt: number | undefined;
  /** The exact length of the stream, found by parsing it; undefined where its end can't be found. */
  readonly streamBytes: number | undefined;
  /** Up to here it could be parsed. */
  readonly parsedTo: number;
  readonly problems: readonly StreamProblem[];
}

/**
 * Parses a VM state as far as it can be read. It keeps what it finds of the sections, and none of the pages.
 *
 * @throws QsnapError READ_FAILED and what else reading throws; what is wrong with the stream is told as `problems`.
 */
export async function surveyVmState(source: VmStateSource): Promise<VmStateSurvey> {
  const pages: PageCounts[] = [];
  const parser = new StreamParser((block, _offset, kind) => {
    (pages[block.index] ??= newCounts())[kind] += 1;
  });
  await parseRam(source, parser);
  const problems: StreamProblem[] = parser.problem === undefined ? [] : [parser.problem];
  const { blocks, position } = parser;
  for (const { index } of blocks) pages[index] ??= newCounts();
  for await (const { block, length } of mappedRuns(source, blocks)) {
    pages[block.index]!.data += Math.ceil(length / block.mapped!.pageBytes);
  }
  const found = await findDescription(source, position);
  let description;
  try {
    description = found && parseDescription(found.bytes);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    problems.push({ at: found!.at, text: error.message });
  }
  const walked =
    parser.problem === undefined
      ? await walkDevices(source, position, description, parser.hasFooters !== false)
      : { sections: [], problems: [], end: undefined, parsedTo: position };
  const isAtEnd = found !== undefined && walked.end === found.at;
  return {
    configuration: parser.configuration,
    blocks,
    pages,
    sections: [...parser.sections, ...walked.sections],
    devices: description?.devices,
    pageBytes: description?.pageBytes,
    descriptionAt: found?.at,
    streamBytes: isAtEnd || walked.end === undefined ? found?.end : walked.end,
    // Mapped pages may claim to lie behind all that there is.
    parsedTo: isAtEnd ? found.end : Math.min(walked.parsedTo, source.mappedBytes),
    problems: [...problems, ...walked.problems],
  };
}

function newCounts(): PageCounts {
  return { byte: 0, data: 0, compressed: 0 };
}

/** Runs a parser over a stream, up to its devices. */
async function parseRam(source: VmStateSource, parser: StreamParser): Promise<void> {
  const windows = new Windows(source);
  while (!parser.isDone && (await windows.moveTo(parser.position))) parser.parse(windows.window);
  parser.end();
}

/**
 * Reads the data of a device's section.
 *
 * @param name of the section, such as `cpu`, or what it ends in, such as `/vga`.
 * @param instance undefined: the first one.
 * @returns undefined where there is no such device, or nobody can tell where its fields lie.
 */
export async function readDevice(
  source: VmStateSource,
  survey: VmStateSurvey,
  name: string,
  instance?: number,
): Promise<DeviceData | undefined> {
  const section = survey.sections.find((one) => {
    const isNamed = name.startsWith('/') ? one.name.endsWith(name) : one.name === name;
    return one.kind === 'full' && isNamed && (instance ?? one.instance) === one.instance;
  });
  const description = survey.devices?.find((device) => {
    return device.name === section?.name && (device.instance | 0) === (section.instance | 0);
  });
  return readSection(source, section, description);
}

/** Reads the data of a section by its description; undefined without either, or where it is longer than any device. */
export async function readSection(
  source: VmStateSource,
  section: Section | undefined,
  description: DeviceDescription | undefined,
): Promise<DeviceData | undefined> {
  if (section?.dataBytes === undefined || description === undefined) return undefined;
  if (section.dataBytes > VMSTATE_LIMITS.readDeviceBytesMax) return undefined;
  const into = new Uint8Array(section.dataBytes);
  await source.readBatch([{ at: section.dataAt, into }]);
  return new DeviceData(into, description);
}
