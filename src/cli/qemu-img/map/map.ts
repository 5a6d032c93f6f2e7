/** `map`: where in which file the guest data lies. */
import { isQsnapError, type Extent } from '../../../index.js';
import { eachOption, fileRequest, oneOperand, type ArgvContext } from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import type { Run } from '../run-command.js';
import type { QemuImgIo } from '../disks/io.js';
import { isJsonOutput, USAGE } from '../messages/usage.js';
import { corruptionLine, MAP } from '../messages/map.js';
import type { Secrets } from '../grammar/option-strings.js';
import { Refusal } from '../refusal.js';
import { byteCountOf } from '../grammar/size-argument.js';
import { withSourceDisk, type SourceDisk, type SourceRequest } from '../disks/source-disk.js';

interface MapRequest extends SourceRequest {
  readonly json: boolean;
  readonly startOffset: bigint;
  readonly maxLength: bigint | undefined;
}

/** Parses the arguments of `map`. */
export function parseMap(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const secrets: Secrets = new Map();
  let startOffset = 0n;
  let maxLength: bigint | undefined;
  const take = ({ name, value }: { name: string; value: string }): void => {
    if (name === 's') startOffset = byteCountOf(value, 'start offset', context);
    else if (name === 'l') maxLength = byteCountOf(value, 'max length', context);
    else values.set(name, value);
  };
  const operands = eachOption(argv, grammarOf('map', context.behaviour), context, take, secrets);
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const output = values.get('output') ?? 'human';
  const json = isJsonOutput(output, context.behaviour);
  const format = values.get('format');
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const request = { ...file, format, secrets, json, startOffset, maxLength };
  return (io) => runMap(request, io);
}

async function runMap(request: MapRequest, io: QemuImgIo): Promise<number> {
  return withSourceDisk(request, io, async (source) => {
    const { startOffset: from, maxLength, json } = request;
    const { compressedInMap } = io.behaviour;
    const size = BigInt(source.sizeBytes);
    const to = maxLength === undefined || from + maxLength > size ? size : from + maxLength;
    if (!json) io.printLines([MAP.header]);
    const printer = json ? jsonPrinter(io) : humanPrinter(source, io);
    if (to <= from) printer.end({ ...NOTHING, start: from });
    else {
      try {
        const last = await eachEntry(
          source,
          [Number(from), Number(to)],
          compressedInMap,
          printer.print,
        );
        printer.end(last);
      } catch (error) {
        if (!isQsnapError(error)) throw error;
        const line = corruptionLine(error);
        throw new Refusal(MAP.failed, line === undefined ? [] : [line]);
      }
    }
    return 0;
  });
}

/** A line of the map. */
interface Entry {
  readonly start: number | bigint;
  readonly length: number;
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly compressed: boolean;
  readonly at: number | undefined;
}

const NOTHING = {
  start: 0,
  length: 0,
  depth: 0,
  present: false,
  zero: false,
  data: false,
  compressed: false,
};

interface Printer {
  readonly print: (entries: readonly Entry[]) => void;
  readonly end: (last: Omit<Entry, 'at'> & { readonly at?: number | undefined }) => void;
}

/** Hands over all entries but the last, which is the result. */
async function eachEntry(
  { disk }: SourceDisk,
  [from, to]: readonly [from: number, to: number],
  tellsCompressed: boolean,
  print: (entries: readonly Entry[]) => void,
): Promise<Entry> {
  const encrypted = [disk, ...disk.chain].map((layer) => layer.encrypted);
  let open: Entry | undefined;
  for await (const extents of disk.extents(from, to)) {
    const done: Entry[] = [];
    for (const extent of extents) {
      const entry = entryOf(extent, encrypted[extent.depth]!, tellsCompressed);
      if (open !== undefined && goesOn(open, entry)) {
        open = { ...open, length: open.length + entry.length };
      } else {
        if (open !== undefined) done.push(open);
        open = entry;
      }
    }
    print(done);
  }
  return open!;
}

function entryOf(
  { kind, start, length, depth, at }: Extent,
  encrypted: boolean,
  tellsCompressed: boolean,
): Entry {
  const data = kind === 'data' || kind === 'compressed' || kind === 'preallocated';
  const zero = kind !== 'data' && kind !== 'compressed';
  const present = kind !== 'unallocated';
  const compressed = tellsCompressed && kind === 'compressed';
  return { start, length, depth, present, zero, data, compressed, at: encrypted ? undefined : at };
}

/** The engine has joined what it can; to QEMU some of its kinds are one. */
function goesOn(before: Entry, after: Entry): boolean {
  return (
    before.depth === after.depth &&
    before.present === after.present &&
    before.zero === after.zero &&
    before.data === after.data &&
    before.compressed === after.compressed &&
    (before.at === undefined ? after.at === undefined : before.at + before.length === after.at)
  );
}

function jsonPrinter(io: QemuImgIo): Printer {
  const { compressedInMap } = io.behaviour;
  let open = '[';
  const line = (entry: Parameters<Printer['end']>[0]): string => {
    const { start, length, depth, present, zero, data, at } = entry;
    const offset = at === undefined ? '' : `, "offset": ${at}`;
    const compressed = compressedInMap ? `, "compressed": ${entry.compressed}` : '';
    return (
      `{ "start": ${start}, "length": ${length}, "depth": ${depth}, "present": ${present}, ` +
      `"zero": ${zero}, "data": ${data}${compressed}${offset}}`
    );
  };
  return {
    print: (entries) => {
      if (entries.length === 0) return;
      io.printLines([open + entries.map((entry) => `${line(entry)},`).join('\n')]);
      open = '';
    },
    end: (last) => {
      io.printLines([`${open}${line(last)}]`]);
    },
  };
}

const COLUMN_WIDTH = 16;

function humanPrinter({ shownAt }: SourceDisk, io: QemuImgIo): Printer {
  const column = (value: number | bigint): string =>
    (value === 0 ? '0' : `0x${value.toString(16)}`).padEnd(COLUMN_WIDTH);
  const lines = (entries: readonly Parameters<Printer['end']>[0][]): void => {
    const shown: string[] = [];
    for (const { start, length, depth, zero, data, at } of entries) {
      if (!data) continue;
      if (at === undefined) {
        io.printLines(shown);
        throw new Refusal(MAP.notPlain);
      }
      if (zero) continue;
      const places = column(start) + column(length) + column(at);
      shown.push(places + io.show(shownAt(depth)));
    }
    io.printLines(shown);
  };
  return {
    print: lines,
    end: (last) => {
      lines([last]);
    },
  };
}
