/**
 * A disk to read from, opened as QEMU opens it: with its backing chain, its data file and the
 * secret that decrypts it. For `map`, `compare`, `convert` and `measure`.
 */
import {
  isQsnapError,
  openGuestDisk,
  rawDisk,
  type GuestDisk,
  type Image,
  type OpenImage,
  type Snapshot,
} from '../../../index.js';
import { nodeCryptography, nodeDecompressor } from '../../../node/index.js';
import type { FileRequest } from '../grammar/argv.js';
import type { QemuImgIo } from './io.js';
import { couldNotOpen } from '../messages.js';
import { KEY_REASONS } from '../messages/source.js';
import { OpenedChain, OpenFailure, type ChainOptions } from './opened-chain.js';
import { openingReason, withImage, type Opened, type ReadableFile } from './opened.js';
import type { Secrets } from '../grammar/option-strings.js';
import { passphraseOf, readSecrets } from './secrets.js';
import { warnAboutBitmaps } from '../snapshot.js';
import { targetOf, type Target } from './target.js';

/** What the command line says of a source. */
export interface SourceRequest extends FileRequest {
  readonly format: string | undefined;
  readonly secrets: Secrets;
  /** Go on past table entries that can't be right, and tell them as `unreadable`. */
  readonly salvage?: boolean;
  /** Picks the snapshot to read instead of the active disk; undefined: the active disk. */
  readonly select?: ((image: OpenImage) => Snapshot | undefined) | undefined;
}

/** How a disk is opened of a file that is open. */
export interface DiskRequest extends ChainOptions, Pick<SourceRequest, 'salvage' | 'select'> {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
}

export interface SourceDisk {
  /** Counts in whole sectors, as QEMU does. */
  readonly disk: GuestDisk;
  readonly sizeBytes: number;
  /** Undefined for a raw file. */
  readonly image: OpenImage | undefined;
  readonly file: ReadableFile;
  readonly target: Target;
  /** The path of a file of the chain as QEMU shows it, by the layer's depth: a byte string. */
  readonly shownAt: (depth: number) => string;
  /** The image of a layer, by its depth. */
  readonly imageAt: (depth: number) => string;
}

/** Opens a source, hands it to `use`, and closes everything. */
export function withSourceDisk<Result>(
  request: SourceRequest,
  io: QemuImgIo,
  use: (source: SourceDisk) => Promise<Result>,
): Promise<Result> {
  const secrets = readSecrets(request.secrets);
  const target = targetOf(request.operand, request.imageOpts, request.format);
  return withImage(target, request.forceShare, async (opened) => {
    return withDiskOf(opened, target, { ...request, secrets }, io, use);
  });
}

/** The same for a file that is open. */
export async function withDiskOf<File extends ReadableFile, Result>(
  opened: Opened<File>,
  target: Target,
  request: DiskRequest,
  io: QemuImgIo,
  use: (source: SourceDisk) => Promise<Result>,
): Promise<Result> {
  const { file } = opened;
  if (opened.kind === 'raw') {
    const disk = await rawDisk(file, { tolerant: true });
    const sizeBytes = await disk.sizeBytes();
    const shownAt = (): string => target.shown;
    return use({ disk, sizeBytes, image: undefined, file, target, shownAt, imageAt: shownAt });
  }
  const { image } = opened;
  const { disk, gate } = await inTheWordsOf(target, async () => {
    warnAboutBitmaps(image, io);
    const reading = readingOf(image, target, request, io);
    const snapshot = request.select?.(image);
    const options = { ...reading, snapshot, unreadableExtents: request.salvage };
    return { disk: await openGuestDisk(image, options), gate: reading.gate };
  });
  try {
    const sizeBytes = await disk.sizeBytes();
    const shownAt = (depth: number): string => gate.shownAt(depth);
    const imageAt = (depth: number): string => gate.imageAt(depth);
    return await use({ disk, sizeBytes, image, file, target, shownAt, imageAt });
  } finally {
    await disk.close();
  }
}

/** What a disk of an image is read with, and what is below it. */
export function readingOf(
  image: OpenImage,
  target: Target,
  request: ChainOptions & Pick<DiskRequest, 'secrets'>,
  io: QemuImgIo,
) {
  return {
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
    passphrase: passphraseFor(image, target, request.secrets),
    gate: new OpenedChain(image, target, request, io),
    tolerant: true,
  };
}

async function inTheWordsOf<Result>(target: Target, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OpenFailure) throw couldNotOpen(target.operand, error.reason);
    if (!isQsnapError(error)) throw error;
    throw couldNotOpen(target.operand, openingReason(error, target, false));
  }
}

function passphraseFor(
  image: Image,
  { keySecret, keyFormat }: Target,
  secrets: ReadonlyMap<string, Uint8Array>,
): Uint8Array | undefined {
  const { encryption } = image.header;
  if (encryption === 'none') return undefined;
  if (keyFormat !== undefined && keyFormat !== encryption) {
    throw new OpenFailure(KEY_REASONS.otherFormat(encryption, keyFormat));
  }
  return passphraseOf(keySecret, secrets, (reason) => new OpenFailure(reason));
}
