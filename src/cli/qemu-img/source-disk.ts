/**
 * A disk to read from, opened as QEMU opens it: with its backing chain, its data file and the
 * secret that decrypts it. For `map`, `compare`, `convert` and `measure`.
 */
import {
  backingFormat,
  isQsnapError,
  openGuestDisk,
  rawDisk,
  type BlockSource,
  type Gate,
  type GuestDisk,
  type Image,
  type OpenImage,
  type OpenedLayer,
  type Snapshot,
} from '../../index.js';
import { nodeCryptography, nodeDecompressor, openFile } from '../../node/index.js';
import type { FileRequest } from './argv.js';
import { byteString, textOf } from './bytes.js';
import { isOtherFormat, isOtherProtocol } from './formats.js';
import type { QemuImgIo } from './io.js';
import { couldNotOpen, OPEN_REASONS } from './messages.js';
import { BACKING_PREFIX, KEY_REASONS, SECRET_REASONS } from './messages-source.js';
import { identify, openingReason, withImage, type ReadableFile } from './opened.js';
import type { Secrets } from './option-strings.js';
import { Refusal } from './refusal.js';
import { readSecrets } from './secrets.js';
import { warnAboutBitmaps } from './snapshot.js';
import { fullBackingName, protocolOf, targetOf, type Target } from './target.js';

/** What the command line says of a source. */
export interface SourceRequest extends FileRequest {
  readonly format: string | undefined;
  readonly secrets: Secrets;
  /** Go on past table entries that can't be right, and tell them as `unreadable`. */
  readonly salvage?: boolean;
  /** Picks the snapshot to read instead of the active disk; undefined: the active disk. */
  readonly select?: ((image: OpenImage) => Snapshot | undefined) | undefined;
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
}

/** Opens a source, hands it to `use`, and closes everything. */
export async function withSourceDisk<Result>(
  request: SourceRequest,
  io: QemuImgIo,
  use: (source: SourceDisk) => Promise<Result>,
): Promise<Result> {
  const secrets = readSecrets(request.secrets);
  const target = targetOf(request.operand, request.imageOpts, request.format);
  return withImage(target, request.forceShare, async (opened) => {
    const { file } = opened;
    if (opened.kind === 'raw') {
      const disk = await rawDisk(file, { tolerant: true });
      const sizeBytes = await disk.sizeBytes();
      return use({ disk, sizeBytes, image: undefined, file, target, shownAt: () => target.shown });
    }
    const { image } = opened;
    const chain = new OpenedChain(image, target, request.forceShare, io);
    const disk = await inTheWordsOf(target, async () => {
      warnAboutBitmaps(image, io);
      return openGuestDisk(image, {
        snapshot: request.select?.(image),
        decompressor: nodeDecompressor(),
        cryptography: nodeCryptography(),
        passphrase: passphraseFor(image, target, secrets),
        gate: chain,
        tolerant: true,
        unreadableExtents: request.salvage,
      });
    });
    try {
      const sizeBytes = await disk.sizeBytes();
      const shownAt = (depth: number): string => chain.shownAt(depth);
      return await use({ disk, sizeBytes, image, file, target, shownAt });
    } finally {
      await disk.close();
    }
  });
}

/** Why a file of the chain can't be opened: a byte string. */
class OpenFailure extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
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
  if (keySecret === undefined) throw new OpenFailure(KEY_REASONS.required);
  const secret = secrets.get(keySecret);
  if (secret === undefined) throw new OpenFailure(SECRET_REASONS.missing(keySecret));
  if (textOf(byteString(secret)) === undefined) {
    throw new OpenFailure(SECRET_REASONS.notUtf8(keySecret));
  }
  return secret;
}

/** Opens what the images of a chain name, and remembers under which paths. */
class OpenedChain implements Gate {
  readonly #forceShare: boolean;
  readonly #io: QemuImgIo;
  readonly #depths = new Map<BlockSource, number>();
  /** By depth: the paths of the images, and of the files that their guest data lies in. */
  readonly #paths: string[];
  readonly #dataPaths: string[] = [];

  constructor(image: OpenImage, target: Target, forceShare: boolean, io: QemuImgIo) {
    this.#forceShare = forceShare;
    this.#io = io;
    this.#depths.set(image.source, 0);
    this.#paths = [target.shown];
  }

  shownAt(depth: number): string {
    return this.#dataPaths[depth] ?? this.#paths[depth]!;
  }

  async openBacking(image: OpenImage): Promise<OpenedLayer> {
    const depth = this.#depths.get(image.source)!;
    const prefix = BACKING_PREFIX.repeat(depth + 1);
    const name = byteString(image.backingNameBytes!).replace(/\0.*$/s, '');
    const format = this.#formatOf(image, prefix);
    const full = fullBackingName(this.#paths[depth]!, name);
    const target = this.#targetFor(full, prefix, format);
    const { file, opened } = await this.#failingWith(target, prefix, async () => {
      const opening = await openFile(target.path, { forceShare: this.#forceShare });
      try {
        return { file: opening, opened: await identify(opening, target) };
      } catch (error) {
        await opening.close();
        throw error;
      }
    });
    this.#depths.set(file, depth + 1);
    this.#paths[depth + 1] = target.shown;
    try {
      if (opened.kind === 'qcow2') {
        warnAboutBitmaps(opened.image, this.#io);
        if (opened.image.header.encryption !== 'none') {
          throw new OpenFailure(prefix + KEY_REASONS.required);
        }
      }
      return { source: file, format: opened.kind, identity: await file.identity() };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async openDataFile(image: OpenImage): Promise<BlockSource> {
    const depth = this.#depths.get(image.source)!;
    const prefix = BACKING_PREFIX.repeat(depth);
    const extension = image.extensions.find(({ kind }) => kind === 'data-file-name');
    if (extension === undefined) throw new OpenFailure(prefix + OPEN_REASONS.dataFileMissing);
    // Unlike a backing file, it is looked for from the current folder.
    const target = this.#targetFor(byteString(extension.bytes), prefix, 'raw');
    const open = () => openFile(target.path, { forceShare: this.#forceShare });
    const file = await this.#failingWith(target, prefix, open);
    this.#dataPaths[depth] = target.shown;
    return file;
  }

  #formatOf(image: Image, prefix: string): Target['format'] {
    const format = backingFormat(image);
    if (format === undefined || format === 'raw' || format === 'qcow2') return format;
    const { unsupportedFormat, unknownDriver } = OPEN_REASONS;
    throw new OpenFailure(
      prefix + (isOtherFormat(format) ? unsupportedFormat : unknownDriver)(this.#io.tell(format)),
    );
  }

  /** The file that a name in an image means. */
  #targetFor(name: string, prefix: string, format: Target['format']): Target {
    const protocol = protocolOf(name);
    if (protocol !== undefined && protocol !== 'file') {
      const { unsupportedProtocol, unknownProtocol } = OPEN_REASONS;
      const known = isOtherProtocol(protocol);
      throw new OpenFailure(
        prefix + (known ? unsupportedProtocol : unknownProtocol)(this.#io.tell(protocol)),
      );
    }
    const shown = protocol === 'file' ? name.slice('file:'.length) : name;
    const path = textOf(shown);
    if (path === undefined) throw new OpenFailure(prefix + OPEN_REASONS.pathNotUtf8);
    if (path === '') throw new OpenFailure(prefix + OPEN_REASONS.noFileName);
    return { operand: this.#io.tell(shown), shown, path, format };
  }

  async #failingWith<Result>(
    target: Target,
    prefix: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Refusal) throw new OpenFailure(prefix + error.text);
      if (!isQsnapError(error)) throw error;
      const shown = this.#io.tell(target.shown);
      throw new OpenFailure(prefix + openingReason(error, { ...target, shown }, false));
    }
  }
}
