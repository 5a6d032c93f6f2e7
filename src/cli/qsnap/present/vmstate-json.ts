import type { CpuRegisters, DeviceDescription, Screen } from '../../../index.js';
import type { OpenedState } from '../vmstate-opened.js';
import { unreadJson } from '../unread.js';

/** docs/schema/vmstate.json: what `vmstate info` tells. */
export function vmStateJson(
  { open, snapshot, state, map }: OpenedState,
  registers: readonly CpuRegisters[],
): Record<string, unknown> {
  const { survey, source } = state;
  const { configuration } = survey;
  return {
    filename: open.path,
    snapshot: snapshot.id,
    'vm-state-offset': source.start,
    'vm-state-size': source.toldBytes,
    ...(survey.streamBytes !== undefined && { 'stream-size': survey.streamBytes }),
    'parsed-size': survey.parsedTo,
    ...(configuration !== undefined && {
      machine: configuration.machine,
      capabilities: configuration.capabilities,
    }),
    'main-memory': map.main.reduce((sum, { bytes }) => sum + bytes, 0),
    cpus: registers.length,
    blocks: survey.blocks.map(({ name, bytes, index, mapped }) => {
      const pages = survey.pages[index]!;
      return { name, size: bytes, pages: { ...pages }, 'mapped-ram': mapped !== undefined };
    }),
    'memory-map': map.ranges.map(({ address, bytes, block, offset, kind }) => {
      return { address, size: bytes, block: block.name, 'block-offset': offset, kind };
    }),
    doubts: map.doubts,
    sections: survey.sections.map(
      ({ kind, id, name, instance, version, at, dataAt, dataBytes }) => {
        const place = { offset: at, 'data-offset': dataAt };
        const size = dataBytes === undefined ? {} : { 'data-size': dataBytes };
        return { kind, id, name, instance, version, ...place, ...size };
      },
    ),
    ...(survey.devices !== undefined && { devices: survey.devices.map(deviceJson) }),
    problems: survey.problems.map(({ at, text }) => ({ offset: at, text })),
    ...unreadJson(open.image),
  };
}

function deviceJson(device: DeviceDescription): Record<string, unknown> {
  const { name, instance, kind, version, bytes, subsections, fields } = device;
  return {
    name,
    instance,
    ...(kind !== undefined && { kind }),
    ...(version !== undefined && { version }),
    size: bytes,
    subsections,
    fields: fields.map(({ path, type, at, bytes: size, elements }) => {
      return { name: path, type, offset: at, size, elements };
    }),
  };
}

/** What was written to a file. */
export function writtenJson(
  { open, snapshot, flags }: OpenedState,
  bytes: number,
): Record<string, unknown> {
  return { filename: open.path, snapshot: snapshot.id, output: flags.output, size: bytes };
}

/** A text screen. */
export function screenJson(
  filename: string,
  { columns, lines }: Extract<Screen, { kind: 'text' }>,
): Record<string, unknown> {
  return { filename, screen: { columns, lines } };
}
