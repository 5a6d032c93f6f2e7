/** `commit`: what an overlay says goes into a file below it. */
import { fileIdentity, openFile } from '../../node/index.js';
import {
  editWithinRoom,
  executePlan,
  isQsnapError,
  openImage,
  type BlockDevice,
  type OpenedLayer,
} from '../../index.js';
import { commitDisk, planEmpty, zeroSource, type CommitTarget } from '../../internal.js';
import {
  eachOption,
  fileRequest,
  oneOperand,
  withoutForce,
  type ArgvContext,
  type FileRequest,
} from './grammar/argv.js';
import { textOf } from './grammar/bytes.js';
import { isCacheMode } from './grammar/cache-mode.js';
import { grammarOf } from './grammar/command-options.js';
import type { QemuImgIo } from './disks/io.js';
import { guessedRawWarning, sentenceOf } from './messages.js';
import { COMMIT } from './messages/commit.js';
import { USAGE } from './messages/usage.js';
import { withEditableImage, type EditableFile, type Opened } from './disks/opened.js';
import type { Secrets } from './grammar/option-strings.js';
import { percentLines, type PercentLines } from './percent-lines.js';
import { Refusal } from './refusal.js';
import type { Run } from './run-command.js';
import { readSecrets } from './disks/secrets.js';
import { byteCountOf } from './grammar/size-argument.js';
import { refuseDataFile, refuseUnwritable, warnAboutLock } from './snapshot.js';
import { readingOf, withDiskOf, type DiskRequest } from './disks/source-disk.js';
import { targetOf, type Target } from './disks/target.js';

interface CommitRequest extends FileRequest {
  readonly format: string | undefined;
  readonly secrets: Secrets;
  /** Undefined: the backing file of the image itself. */
  readonly base: string | undefined;
  /** Leave the overlay as it is. */
  readonly drop: boolean;
  readonly force: boolean;
  readonly quiet: boolean;
  readonly progress: boolean;
}

/** Parses the arguments of `commit`. */
export function parseCommit(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const secrets: Secrets = new Map();
  const { rest, force } = withoutForce(argv);
  const operands = eachOption(
    rest,
    grammarOf('commit', context.behaviour),
    context,
    ({ name, value }) => {
      if (name === 'r') byteCountOf(value, COMMIT.rateName, context);
      values.set(name, value);
    },
    secrets,
  );
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const format = values.get('format');
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const cache = values.get('t');
  if (cache !== undefined && !isCacheMode(cache)) throw new Refusal(COMMIT.cache(cache));
  const base = values.get('b');
  const request: CommitRequest = {
    ...file,
    ...{ format, secrets, base, force },
    drop: values.has('d') || base !== undefined,
    quiet: values.has('q'),
    progress: values.has('p') && !values.has('q'),
  };
  return (io) => runCommit(request, io);
}

async function runCommit(request: CommitRequest, io: QemuImgIo): Promise<number> {
  const target = targetOf(request.operand, request.imageOpts, request.format);
  const disk = { forceShare: false, secrets: readSecrets(request.secrets) };
  await withEditableImage(target, async (opened) => {
    warnAboutLock(opened.file, io);
    if (opened.kind === 'raw') {
      if (opened.guessed) io.printError(`${guessedRawWarning(target.shown)}\n`);
      throw new Refusal(COMMIT.noBacking);
    }
    const below = await layerBelow(opened, target, { request, disk }, io);
    const { snapshots } = opened.image;
    if (snapshots.length > 0 && !request.force) {
      throw new Refusal(COMMIT.snapshots(io.tell(target.shown), snapshots.length));
    }
    refuseUnwritable(opened.image, target);
    if (!request.drop) refuseDataFile(opened.image, target, io);
    const progress = percentLines(io, request.progress, 1);
    try {
      await commitInto(below, opened, target, disk, progress, io);
      if (!request.drop) await makeEmpty(opened.file, io);
      progress.at(100);
    } finally {
      progress.end();
    }
  });
  if (!request.quiet) io.printLines([COMMIT.done]);
  return 0;
}

/** The file that is committed into. */
interface LayerBelow {
  readonly depth: number;
  readonly target: Target;
  readonly sizeBytes: number;
}

type Overlay = Extract<Opened<EditableFile>, { kind: 'qcow2' }>;

function layerBelow(
  opened: Overlay,
  target: Target,
  { request, disk }: { readonly request: CommitRequest; readonly disk: DiskRequest },
  io: QemuImgIo,
): Promise<LayerBelow> {
  return withDiskOf(opened, target, disk, io, async (source) => {
    const { chain } = source.disk;
    if (chain.length === 0) throw new Refusal(COMMIT.noBacking);
    const depth =
      request.base === undefined ? 1 : await depthOf(request.base, chain.length, source);
    if (depth === undefined) {
      throw new Refusal(COMMIT.notInChain(request.base!, io.tell(target.shown)));
    }
    if (!request.force) await refuseSnapshotsBetween(depth, source.imageAt, io);
    const layer = chain[depth - 1]!;
    const shown = source.imageAt(depth);
    const path = textOf(shown)!;
    const sizeBytes = await layer.sizeBytes();
    return {
      depth,
      target: { operand: io.tell(shown), shown, path, format: layer.format },
      sizeBytes,
    };
  });
}

/** What lies between the overlay and the file that is written has snapshots that see that file, too. */
async function refuseSnapshotsBetween(
  depth: number,
  imageAt: (depth: number) => string,
  io: QemuImgIo,
): Promise<void> {
  for (let between = 1; between < depth; between++) {
    const shown = imageAt(between);
    const file = await openFile(textOf(shown)!, { forceShare: true });
    try {
      const { snapshots } = await openImage(file);
      if (snapshots.length === 0) continue;
      throw new Refusal(COMMIT.snapshots(io.tell(shown), snapshots.length));
    } finally {
      await file.close();
    }
  }
}

/** The depth of the layer that is the file of this name. */
async function depthOf(
  name: string,
  layers: number,
  { imageAt }: { readonly imageAt: (depth: number) => string },
): Promise<number | undefined> {
  const wanted = await fileIdentity(textOf(name) ?? '');
  if (wanted === undefined) return undefined;
  for (let depth = 1; depth <= layers; depth++) {
    const path = textOf(imageAt(depth));
    if (path !== undefined && (await fileIdentity(path)) === wanted) return depth;
  }
  return undefined;
}

async function commitInto(
  { depth, target: baseTarget, sizeBytes }: LayerBelow,
  overlay: Overlay,
  target: Target,
  disk: DiskRequest,
  progress: PercentLines,
  io: QemuImgIo,
): Promise<void> {
  await withEditableImage(baseTarget, async (base) => {
    warnAboutLock(base.file, io);
    if (base.kind === 'qcow2') refuseDataFile(base.image, baseTarget, io);
    // The overlay is read as if nothing were in the file that is written.
    const empty: OpenedLayer = {
      source: zeroSource(base.file.label, sizeBytes),
      format: 'raw',
      identity: await base.file.identity(),
    };
    const standIn = (at: number): OpenedLayer | undefined => (at === depth ? empty : undefined);
    await withDiskOf(overlay, target, { ...disk, standIn }, io, async (source) => {
      const into: CommitTarget = { device: base.file, format: base.kind };
      const diskBytes = source.sizeBytes;
      const reading = base.kind === 'raw' ? {} : readingOf(base.image, baseTarget, disk, io);
      await inWords(() =>
        io.interruptible((signal) =>
          commitDisk(source.disk, into, {
            disk: reading,
            layersAbove: depth,
            onProgress: (done) => {
              progress.at((100 * done) / Math.max(1, diskBytes));
            },
            signal,
          }),
        ),
      );
    });
  });
}

async function makeEmpty(device: BlockDevice, io: QemuImgIo): Promise<void> {
  await inWords(() =>
    io.interruptible((signal) =>
      editWithinRoom(
        device,
        async (opening) => ({
          plan: await planEmpty(await openImage(device, opening), { signal }),
        }),
        ({ plan }) => executePlan(plan, { signal }),
      ),
    ),
  );
}

async function inWords<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    throw new Refusal(COMMIT.failed(sentenceOf(error)));
  }
}
