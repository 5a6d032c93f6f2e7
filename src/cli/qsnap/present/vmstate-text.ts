import type { CpuRegisters, Section } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText, exactSizeText, hexText, sizeText } from '../../text.js';
import type { OpenedState } from '../vmstate-opened.js';

/** What `vmstate info` prints. */
export function vmStateLines(opened: OpenedState, registers: readonly CpuRegisters[]): string[] {
  const { snapshot, state, map } = opened;
  const { survey, source } = state;
  const name = `${printableText(snapshot.id)} "${printableText(snapshot.name)}"`;
  const lines = [`VM state of snapshot ${name}, at the guest offset ${hexText(source.start)}`];
  lines.push(`  length           ${lengthText(opened)}`);
  const { configuration } = survey;
  if (configuration !== undefined) {
    lines.push(`  machine          ${printableText(configuration.machine)}`);
    if (configuration.capabilities.length > 0) {
      const capabilities = configuration.capabilities.map(printableText).join(', ');
      lines.push(`  capabilities     ${capabilities}`);
    }
  }
  const memory = map.main.reduce((sum, { bytes }) => sum + bytes, 0);
  lines.push(`  main memory      ${exactSizeText(memory)}`);
  lines.push(`  processors       ${registers.length === 0 ? 'not told' : registers.length}`);
  lines.push(...startLines(opened, memory, registers.length));
  lines.push('', 'RAM blocks', ...blockLines(opened));
  lines.push('', 'Addresses of memory', ...mapLines(opened));
  lines.push('', 'Sections', ...sectionLines(survey.sections));
  return lines;
}

function lengthText({ state }: OpenedState): string {
  const { survey, source } = state;
  if (survey.streamBytes === undefined) {
    return `not known; it can be parsed up to ${exactSizeText(survey.parsedTo)}`;
  }
  const told =
    survey.streamBytes === source.toldBytes
      ? 'as the snapshot table tells'
      : `the snapshot table tells ${source.toldBytes} bytes`;
  return `${exactSizeText(survey.streamBytes)}, ${told}`;
}

/** What `loadvm` insists on, as it is written on a command line. */
function startLines({ state }: OpenedState, memory: number, cpus: number): string[] {
  const machine = state.survey.configuration?.machine;
  if (machine === undefined || !/^[\w.+-]+$/.test(machine)) return [];
  const size = memory % 2 ** 20 === 0 ? `${memory / 2 ** 20}M` : `${memory / 1024}K`;
  const processors = cpus > 0 ? ` -smp ${cpus}` : '';
  const ram = memory > 0 ? ` -m ${size}` : '';
  return [`  loadvm needs     -M ${machine}${ram}${processors}, and the devices below`];
}

function blockLines({ state }: OpenedState): string[] {
  const { blocks, pages } = state.survey;
  if (blocks.length === 0) return ['  none'];
  const rows = blocks.map(({ name, bytes, index, mapped }) => {
    const { data, byte, compressed } = pages[index]!;
    const kinds = [
      countText(data, 'page'),
      ...(byte > 0 ? [`${byte} of one byte`] : []),
      ...(compressed > 0 ? [`${compressed} compressed`] : []),
      ...(mapped === undefined ? [] : ['mapped-ram']),
    ];
    return [printableText(name), sizeText(bytes), kinds.join(', ')] as const;
  });
  return aligned(rows);
}

function mapLines({ map }: OpenedState): string[] {
  const rows = map.ranges.map(({ address, bytes, block, offset, kind }) => {
    const what = `${kind}: ${printableText(block.name)} from ${hexText(offset)}`;
    return [hexText(address), sizeText(bytes), what] as const;
  });
  const doubts = map.doubts.map((doubt) => `  not sure: ${doubt}`);
  return rows.length === 0 ? ['  not told'] : [...aligned(rows), ...doubts];
}

function aligned(rows: readonly (readonly [string, string, string])[]): string[] {
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  const [first, second] = [width(0), width(1)];
  return rows.map(([a, b, c]) => `  ${a.padEnd(first)}  ${b.padStart(second)}  ${c}`);
}

/** In the order of the stream; parts of one section that follow each other are one line. */
function sectionLines(sections: readonly Section[]): string[] {
  const rows: { first: Section; parts: number; bytes: number | undefined }[] = [];
  for (const section of sections) {
    const last = rows.at(-1);
    const goesOn = last !== undefined && section.kind !== 'full' && last.first.id === section.id;
    if (goesOn && last.first.kind !== 'full') {
      last.parts += 1;
      last.bytes =
        last.bytes === undefined || section.dataBytes === undefined
          ? undefined
          : last.bytes + section.dataBytes;
    } else rows.push({ first: section, parts: 1, bytes: section.dataBytes });
  }
  return aligned(
    rows.map(({ first, parts, bytes }) => {
      const size = bytes === undefined ? 'cut off' : countText(bytes, 'byte');
      const instance = first.instance === 0 ? '' : ` ${first.instance}`;
      const more = parts > 1 ? `, ${parts} parts` : '';
      const name = `${printableText(first.name)}${instance}`;
      return [name, size, `at ${hexText(first.at)}, version ${first.version}${more}`] as const;
    }),
  );
}
