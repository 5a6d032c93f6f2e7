/** `bitmap`: persistent bitmaps, all that is asked for or nothing. */
import { editBitmaps, isQsnapError, type BitmapAction, type OpenImage } from '../../../index.js';
import { eachOption, fileRequest, type ArgvContext, type FileRequest } from '../grammar/argv.js';
import { bytesOf } from '../grammar/bytes.js';
import { grammarOf } from '../grammar/command-options.js';
import type { QemuImgIo } from '../disks/io.js';
import { BITMAP } from '../messages/bitmap.js';
import { refusalOf } from './bitmap-reasons.js';
import { guessedRawWarning } from '../messages.js';
import { USAGE } from '../messages/usage.js';
import { withEditableImage, withImage, type EditableFile } from '../disks/opened.js';
import { Refusal } from '../refusal.js';
import type { Run } from '../run-command.js';
import { byteCountOf } from '../grammar/size-argument.js';
import { refuseUnwritable, warnAboutBitmaps, warnAboutLock } from '../snapshot.js';
import { targetOf, type Target } from '../disks/target.js';

type Kind = BitmapAction['kind'];

interface Asked {
  readonly kind: Kind;
  /** The bitmap to merge. */
  readonly from: string;
}

interface BitmapRequest extends FileRequest {
  readonly format: string | undefined;
  readonly name: string;
  readonly asked: readonly Asked[];
  readonly granularityBytes: number | undefined;
  readonly source: { readonly operand: string; readonly format: string | undefined } | undefined;
}

const KINDS: ReadonlySet<string> = new Set<Kind>([
  ...(['add', 'remove', 'remove-all', 'clear', 'enable', 'disable', 'merge'] as const),
]);

const isKind = (name: string): name is Kind => KINDS.has(name);

/** Parses the arguments of `bitmap`. */
export function parseBitmap(argv: readonly string[], context: ArgvContext): Run | undefined {
  const { behaviour } = context;
  const values = new Map<string, string>();
  const asked: Asked[] = [];
  let granularity = 0n;
  const grammar = grammarOf('bitmap', behaviour);
  const operands = eachOption(argv, grammar, context, ({ name, value }) => {
    if (isKind(name)) asked.push({ kind: name, from: value });
    else if (name === 'g') granularity = byteCountOf(value, BITMAP.granularityName, context);
    else values.set(name, value);
  });
  if (operands === undefined) return undefined;
  if (asked.length === 0) {
    throw new Refusal(BITMAP.nothingToDo(behaviour.settledOptions));
  }
  const has = (kind: Kind): boolean => asked.some((action) => action.kind === kind);
  if (granularity !== 0n && !has('add')) throw new Refusal(BITMAP.granularityAlone);
  const [source, sourceFormat] = [values.get('b'), values.get('F')];
  if (sourceFormat !== undefined && source === undefined) throw new Refusal(BITMAP.formatAlone);
  if (source !== undefined && !has('merge')) throw new Refusal(BITMAP.sourceAlone);
  const [operand, name = ''] = operandsOf(operands, asked);
  const file = fileRequest(operand, values);
  const format = values.get('format');
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const request: BitmapRequest = {
    ...file,
    format,
    name,
    asked,
    // QEMU counts it in 32 bits.
    granularityBytes: granularity === 0n ? undefined : Number(BigInt.asUintN(32, granularity)),
    source: source === undefined ? undefined : { operand: source, format: sourceFormat },
  };
  return (io) => runBitmap(request, io);
}

/** Who removes all bitmaps, and does no more, names none. */
function operandsOf(
  operands: readonly string[],
  asked: readonly Asked[],
): readonly [operand: string, name: string | undefined] {
  const [operand, name] = operands;
  const isAll = asked.every(({ kind }) => kind === 'remove-all');
  if (operand === undefined || operands.length !== (isAll ? 1 : 2)) {
    throw new Refusal(isAll ? BITMAP.fileAlone : BITMAP.operands);
  }
  return [operand, name];
}

async function runBitmap(request: BitmapRequest, io: QemuImgIo): Promise<number> {
  const target = targetOf(request.operand, request.imageOpts, request.format);
  await withEditableImage(target, async (opened) => {
    warnAboutLock(opened.file, io);
    if (opened.kind === 'raw') {
      if (opened.guessed) io.printError(`${guessedRawWarning(target.shown)}\n`);
      const refuse = (): Promise<void> => {
        refuseRaw(request);
        return Promise.resolve();
      };
      await withSource(request, io, refuse);
      return;
    }
    const { image, file } = opened;
    refuseUnwritable(image, target);
    warnAboutBitmaps(image, io);
    await withSource(request, io, async (source) => {
      // What is no qcow2 image has no bitmaps.
      const from = source === 'raw' ? { ...image, bitmaps: [] } : source;
      await change(request, { image, file, source: from }, io);
    });
  });
  return 0;
}

/** Opens the image that a bitmap is merged from, if one is named. */
async function withSource(
  { source }: BitmapRequest,
  io: QemuImgIo,
  use: (image: OpenImage | 'raw' | undefined) => Promise<void>,
): Promise<void> {
  if (source === undefined) {
    await use(undefined);
    return;
  }
  const target: Target = targetOf(source.operand, false, source.format);
  await withImage(target, false, async (opened) => {
    if (opened.kind === 'qcow2') warnAboutBitmaps(opened.image, io);
    await use(opened.kind === 'qcow2' ? opened.image : 'raw');
  });
}

/** A raw disk has no bitmaps, and none can be stored in it. */
function refuseRaw({ asked, name, granularityBytes }: BitmapRequest): void {
  const action = asked.find(({ kind }) => kind !== 'remove-all');
  if (action === undefined) return;
  const fail = (reason: string): Refusal => new Refusal(BITMAP.failed(action.kind, name, reason));
  if (action.kind !== 'add') throw fail(BITMAP.notFound(name));
  if (name === '') throw fail(BITMAP.noName);
  const granularity = granularityBytes ?? 512;
  if (granularity < 512 || !Number.isInteger(Math.log2(granularity))) {
    throw fail(BITMAP.granularity);
  }
  throw fail(BITMAP.rawFile);
}

interface Images {
  readonly image: OpenImage;
  readonly file: EditableFile;
  readonly source: OpenImage | undefined;
}

async function change(request: BitmapRequest, images: Images, io: QemuImgIo): Promise<void> {
  const { asked } = request;
  const actions = asked.map((action) => actionOf(action, request, images.source));
  try {
    await io.interruptible((signal) => editBitmaps(images.file, actions, { signal }));
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const { action = 0 } = error.details;
    throw refusalOf(error, { ...asked[action]!, name: request.name }, images);
  }
}

function actionOf(
  { kind, from }: Asked,
  { name, granularityBytes }: BitmapRequest,
  source: OpenImage | undefined,
): BitmapAction {
  const bytes = bytesOf(name);
  switch (kind) {
    case 'add':
      return { kind, name: bytes, granularityBytes };
    case 'merge':
      return { kind, name: bytes, from: bytesOf(from), source };
    case 'remove-all':
      return { kind };
    case 'remove':
    case 'clear':
    case 'enable':
    case 'disable':
      return { kind, name: bytes };
  }
}
