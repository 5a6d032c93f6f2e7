import {
  dataFileName,
  hashDisks,
  isQsnapError,
  openGuestDisk,
  QsnapError,
  type DiskHash,
  type GuestDisk,
  type HashedPiece,
  type Snapshot,
} from '../../../index.js';
import { printableText, settled } from '../../../internal.js';
import { newHash, type HashAlgorithm } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { oneSafeLine } from '../../text.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import { guestOptions, refuseWithoutBacking, type GuestFlags } from '../guest-options.js';
import { diskWord, exportName, NAME_TEMPLATE, vmStateName } from '../hash-names.js';
import { hashVmState } from '../hash-vm-state.js';
import { writeHashDfxml } from '../present/hash-dfxml.js';
import { hashJson } from '../present/hash-json.js';
import { hashLines, pieceLine } from '../present/hash-text.js';
import type { HashManifest, VmStateDigest } from '../present/hashed.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { lacks } from '../unread.js';

/** Flags of `hash`. */
export interface HashFlags extends GuestFlags {
  readonly algorithm: HashAlgorithm;
  /** Bytes of a piece: pieces are hashed in place of whole disks. */
  readonly piecewise?: number;
  /** With `piecewise`: whole disks as well. */
  readonly whole?: boolean;
  readonly format?: 'text' | 'json' | 'dfxml';
  readonly nameTemplate?: string;
  /** Of qsnap. */
  readonly version: string;
}

/** `qsnap hash IMAGE` */
export function hash(path: string, flags: HashFlags, context: Context): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      const isWhole = await withImage(path, context, (open) =>
        hashImage(open, flags, signal, context),
      );
      return isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (formatOf(flags, context) === 'json') {
        printJson(context, { error: errorJson(error, 'read') });
      }
      return EXIT_CODES.notDone.code;
    }
  });
}

const formatOf = ({ format }: HashFlags, { json }: Context): 'text' | 'json' | 'dfxml' =>
  json ? 'json' : (format ?? 'text');

/** A disk on its way to its hash. */
interface Subject {
  readonly snapshot: Snapshot | undefined;
  readonly sizeBytes: number;
  readonly name: string;
  readonly pieces: HashedPiece[];
  readonly disk: GuestDisk | undefined;
  readonly error: QsnapError | undefined;
}

/** @returns whether all could be hashed. */
async function hashImage(
  open: OpenedImage,
  flags: HashFlags,
  signal: AbortSignal,
  context: Context,
): Promise<boolean> {
  const { image, path, progress } = open;
  const subjects = await subjectsOf(open, flags, context);
  try {
    progress.phase(`hashing the disks of ${path}`);
    const disks = await digestsOf(open, subjects, flags, signal, context);
    const vmStates = await vmStatesOf(open, flags, signal, context);
    progress.stop();
    const { algorithm, piecewise: pieceBytes } = flags;
    const manifest: HashManifest = { path, algorithm, pieceBytes, disks, vmStates };
    await print(manifest, subjects, flags, context);
    const failed = [...disks, ...vmStates].filter(({ error }) => error !== undefined);
    for (const { name, error } of failed) {
      const reason = oneSafeLine(error!.message);
      printWarning(context, `${printableText(name)} was not hashed: ${reason}`);
    }
    return failed.length === 0 && !lacks(image, 'snapshot table', 'snapshot', 'active L1');
  } finally {
    progress.stop();
    await settled(subjects.map(async ({ disk }) => disk?.close()));
  }
}

async function subjectsOf(
  { image, path }: OpenedImage,
  flags: HashFlags,
  context: Context,
): Promise<readonly Subject[]> {
  const options = guestOptions(flags, context);
  const { nameTemplate = NAME_TEMPLATE } = flags;
  const subjects: Subject[] = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    const word = diskWord(snapshot, image.snapshots);
    const facts = {
      snapshot,
      sizeBytes: snapshot?.diskSizeBytes ?? image.header.diskSizeBytes,
      name: exportName(nameTemplate, path, word),
      pieces: [],
    };
    try {
      refuseElsewhere(image, flags);
      const disk = await openGuestDisk(image, { ...options, snapshot });
      subjects.push({ ...facts, disk, error: undefined });
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      subjects.push({ ...facts, disk: undefined, error });
    }
  }
  return subjects;
}

/** What lies in other files, or is encrypted, is told before the work: nothing else is hashed in its place. */
function refuseElsewhere(image: OpenedImage['image'], flags: HashFlags): void {
  refuseWithoutBacking(image, flags);
  const { header, source } = image;
  if (header.externalDataFile && flags.backing !== true) {
    throw new QsnapError(
      'DATA_FILE_REFUSED',
      `the disk lies in the data file "${printableText(dataFileName(image) ?? '')}", which was not opened`,
      { file: source.label },
    );
  }
  if (header.encryption !== 'none' && flags.passphraseFile === undefined) {
    throw new QsnapError(
      'ENCRYPTED',
      'the disk is encrypted, and what a guest sees takes the key',
      {
        file: source.label,
      },
    );
  }
}

async function digestsOf(
  { image, progress }: OpenedImage,
  subjects: readonly Subject[],
  flags: HashFlags,
  signal: AbortSignal,
  context: Context,
): Promise<HashManifest['disks']> {
  const opened = subjects.flatMap((one) => (one.disk === undefined ? [] : [one]));
  const isText = formatOf(flags, context) === 'text';
  const hashes: readonly DiskHash[] =
    opened.length === 0
      ? []
      : await hashDisks(
          image,
          opened.map(({ snapshot, disk }) => ({ snapshot, disk: disk! })),
          {
            newHasher: () => newHash(flags.algorithm),
            whole: flags.piecewise === undefined || flags.whole === true,
            pieceBytes: flags.piecewise,
            onPiece: (piece) => {
              const { name, pieces } = opened[piece.disk]!;
              if (isText) printLines(context, [pieceLine(name, piece)]);
              else pieces.push(piece);
            },
            onProgress: progress.update,
            signal,
          },
        );
  return subjects.map(({ snapshot, sizeBytes, name, pieces, error }, i) => {
    const found = hashes[opened.indexOf(subjects[i]!)];
    return {
      ...{ snapshot, sizeBytes, name, pieces },
      digest: found?.digest,
      error: error ?? found?.error,
    };
  });
}

async function vmStatesOf(
  { image, path }: OpenedImage,
  flags: HashFlags,
  signal: AbortSignal,
  context: Context,
): Promise<readonly VmStateDigest[]> {
  const found: VmStateDigest[] = [];
  for (const snapshot of image.snapshots) {
    if (snapshot.vmStateBytes === 0) continue;
    const facts = { snapshot, name: vmStateName(path, diskWord(snapshot, image.snapshots)) };
    try {
      if (image.header.encryption !== 'none') refuseElsewhere(image, flags);
      const options = guestOptions(flags, context);
      const hasher = newHash(flags.algorithm);
      const digest = await hashVmState(image, snapshot, { ...options, hasher, signal });
      found.push({ ...facts, digest, error: undefined });
    } catch (error) {
      if (!isQsnapError(error) || error.code === 'ABORTED') throw error;
      found.push({ ...facts, digest: undefined, error });
    }
  }
  return found;
}

async function print(
  manifest: HashManifest,
  subjects: readonly Subject[],
  flags: HashFlags,
  context: Context,
): Promise<void> {
  const format = formatOf(flags, context);
  if (format === 'json') printJson(context, hashJson(manifest));
  else if (format === 'text') printLines(context, hashLines(manifest));
  else {
    const disks = subjects.map(({ disk }) => disk);
    await writeHashDfxml(manifest, disks, flags.version, (text) => {
      context.io.stdout.write(text);
    });
  }
}
