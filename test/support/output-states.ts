/**
 * What a power cut may leave of a file that is made under a temporary name: its bytes and the names
 * in its folder, from the recorded calls of the program that made it. Bytes are on the medium once
 * a flush that began after they were sent is over; names once the folder was flushed. Of what is in
 * flight any part may be there, the names of one folder in their order.
 */
import { crashStates, mediumAfter } from './crash-states.js';
import type { Change } from './recording-device.js';
import { rangeOf, type SystemCall } from './strace.js';

/** Which files the calls of an output are about. */
export interface OutputPlace {
  readonly partial: string;
  readonly folder: string;
  /** What the file held in the end. Every byte of it was written once. */
  readonly whole: Uint8Array;
}

export interface OutputState {
  /** The names that the file has; without one it is not there at all. */
  readonly name: 'none' | NamingStep;
  readonly bytes: Uint8Array;
  /** Whether the program had ended when the power was cut. */
  readonly isOver: boolean;
  readonly description: string;
}

interface Timed<T> {
  readonly what: T;
  readonly began: number;
  readonly over: number;
}

/** A file gets the name that nothing has by a link, and loses the other one after that. */
type NamingStep = 'partial' | 'both' | 'final';

/** The calls by what they do. */
interface Recording {
  readonly changes: readonly Timed<Change>[];
  readonly names: readonly Timed<NamingStep>[];
  readonly syncs: readonly Timed<'file' | 'folder'>[];
}

function recordingOf(calls: readonly SystemCall[], place: OutputPlace): Recording {
  const changes: Timed<Change>[] = [];
  const names: Timed<NamingStep>[] = [];
  const syncs: Timed<'file' | 'folder'>[] = [];
  for (const call of calls) {
    const { name, file, args, began, over } = call;
    const isPartialRemoved = /^unlink/.test(name) && args.includes(`"${place.partial}"`);
    if (/^link/.test(name)) names.push({ what: 'both', began, over });
    else if (/^rename/.test(name) || isPartialRemoved) names.push({ what: 'final', began, over });
    else if (/^open/.test(name) && args.includes(`"${place.partial}"`) && /O_CREAT/.test(args)) {
      names.push({ what: 'partial', began, over });
    } else if (/sync$/.test(name) && file === place.partial) {
      syncs.push({ what: 'file', began, over });
    } else if (name === 'fsync' && file === place.folder) {
      syncs.push({ what: 'folder', began, over });
    } else if (file === place.partial && /write|truncate|fallocate/.test(name)) {
      changes.push({ what: changeOf(call, place.whole), began, over });
    }
  }
  return { changes, names, syncs };
}

function changeOf(call: SystemCall, whole: Uint8Array): Change {
  if (call.name === 'ftruncate') {
    return { kind: 'truncate', sizeBytes: Number(call.args.split(', ').at(-1)) };
  }
  if (!/^pwrite/.test(call.name)) throw new Error(`not made for ${call.name}`);
  const { offset, length } = rangeOf(call);
  return { kind: 'write', at: offset, bytes: whole.slice(offset, offset + length) };
}

/** Ranges that the calls wrote more than once; their earlier bytes would not be known. */
export function writtenTwice(calls: readonly SystemCall[], place: OutputPlace): number {
  const ranges = recordingOf(calls, place)
    .changes.flatMap(({ what }) => (what.kind === 'write' ? [what] : []))
    .map(({ at, bytes }) => ({ at, end: at + bytes.length }))
    .sort((a, b) => a.at - b.at);
  return ranges.filter(({ at }, i) => i > 0 && at < ranges[i - 1]!.end).length;
}

/** All states, up to the end of each flush and after the end of the program. */
export function* outputStates(
  calls: readonly SystemCall[],
  place: OutputPlace,
  options: { readonly seed: number; readonly subsetLimit: number; readonly samples: number },
): Generator<OutputState> {
  const { changes, names, syncs } = recordingOf(calls, place);
  const moments = [...syncs.map(({ over }) => over), Infinity].sort((a, b) => a - b);
  for (const moment of moments) {
    const done = (file: 'file' | 'folder', { over }: Timed<unknown>): boolean =>
      syncs.some((sync) => sync.what === file && sync.began > over && sync.over < moment);
    const sent = changes.filter(({ began }) => began < moment);
    const durable = sent.filter((change) => done('file', change)).map(({ what }) => what);
    const inFlight = sent.filter((change) => !done('file', change)).map(({ what }) => what);
    const given = names.filter(({ began }) => began < moment);
    const sure = given.filter((name) => done('folder', name)).length;
    const start = mediumAfter(new Uint8Array(0), durable);
    for (const { bytes, description } of crashStates(inFlight, start, options)) {
      for (let count = sure; count <= given.length; count += 1) {
        const name = given[count - 1]?.what ?? 'none';
        const isOver = moment === Infinity;
        yield { name, bytes, isOver, description: `named ${name}, ${description}` };
      }
    }
  }
}

/** In what a state falls short: the name belongs to the whole file only, and after the end it alone does. */
export function outputShortcoming(state: OutputState, { whole }: OutputPlace): string | undefined {
  const { name, bytes, isOver, description } = state;
  const isNamed = name === 'final' || name === 'both';
  if (isNamed && Buffer.compare(bytes, whole) !== 0) return `not whole: ${description}`;
  if (name !== 'final' && isOver) return `the name is not sure at the end: ${description}`;
  return undefined;
}
