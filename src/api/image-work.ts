import { throwIfAborted } from '../base/abort.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import { CurrentImage } from './current-image.js';
import type { WorkOptions } from './options.js';
import { Queue } from './queue.js';
import { refuseClosed, refuseReadOnly } from './refuse.js';

/** All work on one open image: one piece after the other, until the image is closed. */
export class ImageWork {
  readonly source: BlockSource;
  /** For work that has its turn. */
  readonly current: CurrentImage;
  readonly #queue = new Queue();
  #closing: Promise<void> | undefined;

  constructor(image: ReadableImage) {
    this.source = image.source;
    this.current = new CurrentImage(image);
  }

  /** As the image was read last. @throws QsnapError CLOSED, and why it could not be read after an edit. */
  get known(): ReadableImage {
    this.refuseClosed();
    return this.current.known;
  }

  get isWritable(): boolean {
    // Types say so of a device; what is open may be any source.
    return (this.source as Partial<BlockDevice>).writeBatch !== undefined;
  }

  /** The source, to write to. @throws QsnapError CLOSED, READ_ONLY. */
  get device(): BlockDevice {
    this.refuseClosed();
    return refuseReadOnly(this.source);
  }

  /** Does a piece of work when its turn comes. @throws QsnapError CLOSED, ABORTED. */
  queued<T>({ signal }: WorkOptions, work: () => Promise<T>): Promise<T> {
    this.refuseClosed();
    return this.#queue.run(() => {
      throwIfAborted(signal, 'the work');
      return work();
    });
  }

  /**
   * Waits for all work that was asked for, and closes the source. The second time it is the same closing.
   *
   * @param closeOthers closes what reads through the source.
   */
  close(closeOthers: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#closeNow(closeOthers);
    return this.#closing;
  }

  async #closeNow(closeOthers: () => Promise<void>): Promise<void> {
    await this.#queue.idle();
    try {
      await closeOthers();
    } finally {
      await this.source.close();
    }
  }

  /** @throws QsnapError CLOSED. */
  refuseClosed(): void {
    refuseClosed(this.#closing !== undefined, 'image', this.source.label);
  }
}
