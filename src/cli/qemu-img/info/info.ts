/** `info`: what an image says of itself. */
import {
  eachOption,
  fileRequest,
  oneOperand,
  type ArgvContext,
  type FileRequest,
} from '../grammar/argv.js';
import { isCacheMode } from '../grammar/cache-mode.js';
import { grammarOf } from '../grammar/command-options.js';
import { layerOf, type BackingName, type Layer, type LimitsRequest } from './info-layer.js';
import { humanLines, jsonTree } from './info-text.js';
import type { QemuImgIo } from '../disks/io.js';
import { jsonText } from '../json.js';
import { INFO } from '../messages.js';
import { isJsonOutput, USAGE } from '../messages/usage.js';
import { withImage } from '../disks/opened.js';
import { Refusal } from '../refusal.js';
import type { Run } from '../run-command.js';
import { warnAboutBitmaps } from '../snapshot.js';
import { targetOf, type Target } from '../disks/target.js';

interface InfoRequest extends FileRequest {
  readonly format: string | undefined;
  readonly json: boolean;
  readonly backingChain: boolean;
  readonly limits: LimitsRequest | undefined;
}

/** Cache modes that go past the host's page cache. */
const DIRECT: readonly string[] = ['none', 'off', 'directsync'];

/** Parses the arguments of `info`. */
export function parseInfo(argv: readonly string[], context: ArgvContext): Run | undefined {
  const { behaviour } = context;
  const values = new Map<string, string>();
  const grammar = grammarOf('info', behaviour);
  const operands = eachOption(argv, grammar, context, ({ name, value }) => {
    values.set(name, value);
  });
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const format = values.get('format');
  const json = isJsonOutput(values.get('output') ?? 'human', behaviour);
  const cache = values.get('t') ?? 'writeback';
  if (!isCacheMode(cache)) throw new Refusal(INFO.cache(cache));
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const direct = DIRECT.includes(cache);
  const limits = values.has('limits') ? { direct } : undefined;
  const request = { ...file, format, json, backingChain: values.has('backing-chain'), limits };
  return (io) => runInfo(request, io);
}

async function runInfo(request: InfoRequest, io: QemuImgIo): Promise<number> {
  const target = targetOf(request.operand, request.imageOpts, request.format);
  const layers = await layersOf(target, request, io);
  if (request.json) {
    const trees = layers.map(jsonTree);
    io.printLines([jsonText(request.backingChain ? trees : trees[0]!)]);
  } else {
    const each = layers.map((layer) => humanLines(layer, io.behaviour, io.show));
    io.printLines(each.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])));
  }
  return 0;
}

/** The image, and all that it stands on where somebody asked for them. */
async function layersOf(
  first: Target,
  request: InfoRequest,
  io: QemuImgIo,
): Promise<readonly Layer[]> {
  const layers: Layer[] = [];
  const seen = new Set<string>();
  for (let target: Target | undefined = first; target !== undefined;) {
    if (seen.has(target.operand)) throw new Refusal(INFO.loop(io.tell(target.operand)));
    seen.add(target.operand);
    const layer = await layerAt(target, request, io);
    layers.push(layer);
    const { backing } = layer;
    target = request.backingChain && backing !== undefined ? backingTarget(backing) : undefined;
  }
  return layers;
}

function layerAt(target: Target, request: InfoRequest, io: QemuImgIo): Promise<Layer> {
  return withImage(target, request.forceShare, (opened) => {
    if (opened.kind === 'qcow2') warnAboutBitmaps(opened.image, io);
    return layerOf(opened, target, io.behaviour, request.limits);
  });
}

function backingTarget({ full, format }: BackingName): Target {
  return targetOf(full, false, format);
}
