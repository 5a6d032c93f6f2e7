/** `rebase`: another backing file. Safe: the disk reads as before. With `-u` only the name changes. */
import { isQsnapError, type GuestDisk, type QsnapError } from '../../index.js';
import { rebaseDisk, setBacking, settled } from '../../internal.js';
import { fileIdentity } from '../../node/index.js';
import {
  eachOption,
  fileRequest,
  oneOperand,
  withoutForce,
  type ArgvContext,
  type FileRequest,
} from './grammar/argv.js';
import { bytesOf, textOf } from './grammar/bytes.js';
import { isCacheMode } from './grammar/cache-mode.js';
import { grammarOf } from './grammar/command-options.js';
import { isOtherFormat } from './disks/formats.js';
import type { QemuImgIo } from './disks/io.js';
import { couldNotOpen, guessedRawWarning, sentenceOf } from './messages.js';
import { USAGE } from './messages/usage.js';
import { REBASE } from './messages/rebase.js';
import { withEditableImage, type EditableFile, type Opened } from './disks/opened.js';
import type { Secrets } from './grammar/option-strings.js';
import { percentLines, type PercentLines } from './percent-lines.js';
import { Refusal, UsageError } from './refusal.js';
import type { Run } from './run-command.js';
import { readSecrets } from './disks/secrets.js';
import { refuseDataFile, refuseUnwritable, warnAboutBitmaps, warnAboutLock } from './snapshot.js';
import { readingOf, withDiskOf, withSourceDisk } from './disks/source-disk.js';
import { fullBackingName, targetOf, type Target } from './disks/target.js';

interface RebaseRequest extends FileRequest {
  readonly format: string | undefined;
  /** Undefined where nobody said: none, as for an empty name. */
  readonly backing: string | undefined;
  readonly backingFormat: string | undefined;
  readonly unsafe: boolean;
  readonly force: boolean;
  readonly secrets: Secrets;
  readonly progress: boolean;
}

/** Parses the arguments of `rebase`. */
export function parseRebase(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const secrets: Secrets = new Map();
  const { rest, force } = withoutForce(argv);
  const grammar = grammarOf('rebase', context.behaviour);
  const take = ({ name, value }: { readonly name: string; readonly value: string }): void => {
    // What 10.1 calls -B was -F before, and is still taken.
    values.set(name === 'B' ? 'F' : name, value);
  };
  const operands = eachOption(rest, grammar, context, take, secrets);
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const unsafe = values.has('u');
  if (!unsafe && !values.has('b')) throw new UsageError(USAGE.noBackingName);
  const format = values.get('format');
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const [cache, sourceCache] = [values.get('t'), values.get('T')];
  if (cache !== undefined && !isCacheMode(cache)) throw new Refusal(REBASE.cache(cache));
  if (sourceCache !== undefined && !isCacheMode(sourceCache)) {
    throw new Refusal(REBASE.sourceCache(sourceCache));
  }
  if (values.has('c') && !unsafe) throw new Refusal(REBASE.compressed);
  const request: RebaseRequest = {
    ...file,
    format,
    backing: values.get('b'),
    backingFormat: values.get('F'),
    ...{ unsafe, force, secrets },
    progress: values.has('p') && !values.has('q'),
  };
  return (io) => runRebase(request, io);
}

const isFormat = (name: string): boolean =>
  name === 'qcow2' || name === 'raw' || isOtherFormat(name);

async function runRebase(request: RebaseRequest, io: QemuImgIo): Promise<number> {
  const { backing = '', backingFormat } = request;
  const target = targetOf(request.operand, request.imageOpts, request.format);
  const progress = percentLines(io, request.progress, 1);
  try {
    await withEditableImage(target, async (opened) => {
      warnAboutLock(opened.file, io);
      if (opened.kind === 'raw') {
        if (opened.guessed) io.printError(`${guessedRawWarning(target.shown)}\n`);
        // QEMU: printf's word for no name at all.
        throw failed(request.backing ?? '(null)', REBASE.notSupported);
      }
      refuseUnwritable(opened.image, target);
      warnAboutBitmaps(opened.image, io);
      if (backingFormat !== undefined && !isFormat(backingFormat)) {
        throw new Refusal(REBASE.invalidFormat(backingFormat));
      }
      if (backing !== '' && backingFormat === undefined) throw failed(backing, REBASE.formatNeeded);
      const named = { name: bytesOf(backing), format: backingFormat };
      if (!request.unsafe) await keepContent(opened, target, request, progress, io);
      await io.interruptible((signal) =>
        setBacking(opened.file, backing === '' ? undefined : named, { signal }),
      );
    });
    progress.at(100);
  } catch (error) {
    throw isQsnapError(error) ? failed(backing, reasonOf(error)) : error;
  } finally {
    progress.end();
  }
  return 0;
}

type Overlay = Extract<Opened<EditableFile>, { kind: 'qcow2' }>;

/** Copies what the disk would lose with the new backing file. */
async function keepContent(
  opened: Overlay,
  target: Target,
  request: RebaseRequest,
  progress: PercentLines,
  io: QemuImgIo,
): Promise<void> {
  const { image, file } = opened;
  refuseDataFile(image, target, io);
  const disk = { forceShare: request.forceShare, secrets: readSecrets(request.secrets) };
  const old = await withDiskOf(opened, target, disk, io, (source) =>
    identitiesOf(source.disk, source.imageAt),
  );
  await withGround(request, target, io, async (ground) => {
    if (image.snapshots.length > 0 && !request.force) {
      throw new Refusal(REBASE.snapshots(io.tell(target.shown), image.snapshots.length));
    }
    const found = ground === undefined ? -1 : old.indexOf(ground.identity);
    const sameFrom = found < 0 ? undefined : found + 1;
    const { diskSizeBytes } = image.header;
    const reading = readingOf(image, target, disk, io);
    await io.interruptible((signal) =>
      rebaseDisk(
        file,
        { disk: ground?.disk, sameFrom },
        {
          disk: reading,
          onProgress: (done) => {
            progress.at((100 * done) / Math.max(1, diskSizeBytes));
          },
          signal,
        },
      ),
    );
  });
}

/** What the layers below are, the next one first. */
function identitiesOf(
  { chain }: GuestDisk,
  imageAt: (depth: number) => string,
): Promise<readonly (string | undefined)[]> {
  return settled(chain.map((_, i) => fileIdentity(textOf(imageAt(i + 1)) ?? '')));
}

interface Ground {
  readonly disk: GuestDisk;
  readonly identity: string;
}

/** Opens the new backing file, if there is to be one. */
async function withGround(
  { backing = '', backingFormat, forceShare, secrets }: RebaseRequest,
  target: Target,
  io: QemuImgIo,
  use: (ground: Ground | undefined) => Promise<void>,
): Promise<void> {
  if (backing === '') return use(undefined);
  const operand = fullBackingName(target.shown, backing);
  const source = { operand, imageOpts: false, forceShare, format: backingFormat, secrets };
  const state = { isOpen: false };
  try {
    await withSourceDisk(source, io, async ({ disk, file }) => {
      state.isOpen = true;
      await use({ disk, identity: await file.identity() });
    });
  } catch (error) {
    if (state.isOpen || !(error instanceof Refusal)) throw error;
    const reason = error.text.replace(couldNotOpen(operand, '').text, '');
    throw new Refusal(REBASE.newBacking(backing, reason));
  }
}

const failed = (name: string, reason: string): Refusal => new Refusal(REBASE.failed(name, reason));

function reasonOf(error: QsnapError): string {
  if (error.code === 'NAME_INVALID') return REBASE.invalid;
  return error.details.structure === 'header extensions' ? REBASE.noRoom : sentenceOf(error);
}
