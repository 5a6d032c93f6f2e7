/** What the images of a chain name, opened with QEMU's words for what goes wrong. */
import {
  backingFormat,
  isQsnapError,
  type BlockSource,
  type Gate,
  type Image,
  type OpenImage,
  type OpenedLayer,
} from '../../../index.js';
import { openFile } from '../../../node/index.js';
import { byteString, textOf } from '../grammar/bytes.js';
import { isOtherFormat, isOtherProtocol } from './formats.js';
import type { QemuImgIo } from './io.js';
import { OPEN_REASONS } from '../messages.js';
import { BACKING_PREFIX, KEY_REASONS } from '../messages/source.js';
import { identify, openingReason, type ReadableFile } from './opened.js';
import { Refusal } from '../refusal.js';
import { warnAboutBitmaps } from '../snapshot.js';
import { fullBackingName, protocolOf, type Target } from './target.js';

/** Why a file of the chain can't be opened: a byte string. */
export class OpenFailure extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/** How the files of a chain are opened. */
export interface ChainOptions {
  readonly forceShare: boolean;
  /** What stands for the layer of a depth; undefined: the file that is named is opened. */
  readonly standIn?: ((depth: number) => OpenedLayer | undefined) | undefined;
}

/** Opens what the images of a chain name, and remembers under which paths. */
export class OpenedChain implements Gate {
  readonly #options: ChainOptions;
  readonly #io: QemuImgIo;
  readonly #depths = new Map<BlockSource, number>();
  /** By depth: the paths of the images, and of the files that their guest data lies in. */
  readonly #paths: string[];
  readonly #dataPaths: string[] = [];

  constructor(image: OpenImage, target: Target, options: ChainOptions, io: QemuImgIo) {
    this.#options = options;
    this.#io = io;
    this.#depths.set(image.source, 0);
    this.#paths = [target.shown];
  }

  imageAt(depth: number): string {
    return this.#paths[depth]!;
  }

  /** Where the guest data of a layer lies: in its image, or beside it. */
  shownAt(depth: number): string {
    return this.#dataPaths[depth] ?? this.#paths[depth]!;
  }

  async openBacking(image: OpenImage): Promise<OpenedLayer> {
    // A view of the image at the top is the image.
    const depth = this.#depths.get(image.source) ?? 0;
    const prefix = BACKING_PREFIX.repeat(depth + 1);
    const name = byteString(image.backingNameBytes!).replace(/\0.*$/s, '');
    const format = this.#formatOf(image, prefix);
    const full = fullBackingName(this.#paths[depth]!, name);
    const target = this.#targetFor(full, prefix, format);
    const standIn = this.#options.standIn?.(depth + 1);
    if (standIn !== undefined) {
      this.#paths[depth + 1] = target.shown;
      return standIn;
    }
    const { file, opened } = await this.#failingWith(target, prefix, async () => {
      const opening = await this.#open(target.path);
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
    const depth = this.#depths.get(image.source) ?? 0;
    const prefix = BACKING_PREFIX.repeat(depth);
    const extension = image.extensions.find(({ kind }) => kind === 'data-file-name');
    if (extension === undefined) throw new OpenFailure(prefix + OPEN_REASONS.dataFileMissing);
    // Unlike a backing file, it is looked for from the current folder.
    const target = this.#targetFor(byteString(extension.bytes), prefix, 'raw');
    const open = () => this.#open(target.path);
    const file = await this.#failingWith(target, prefix, open);
    this.#dataPaths[depth] = target.shown;
    return file;
  }

  #open(path: string): Promise<ReadableFile> {
    return openFile(path, { forceShare: this.#options.forceShare });
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
