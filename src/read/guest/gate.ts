import type { BlockSource } from '../../io/device.js';
import type { OpenImage } from '../../image/image.js';

/** A file that an image names, opened, with the format to read it as. */
export interface OpenedLayer {
  readonly source: BlockSource;
  /** Undefined: qcow2 if it begins like one, else raw. */
  readonly format: 'qcow2' | 'raw' | undefined;
  /**
   * A text that is the same for the same file and for no other, so that a chain that leads back to itself is
   * noticed. If the source has an `identity`, it must be this one: the image at the top of the chain is known
   * by it.
   */
  readonly identity: string;
  /** For an image that is encrypted itself. */
  readonly passphrase?: Uint8Array;
}

/**
 * Who may open what an image names. Without a gate nothing is opened: an untrusted image could name
 * any file of the host.
 */
export interface Gate {
  /**
   * Opens the backing file of `image`.
   *
   * @throws QsnapError BACKING_REFUSED where this name may not be opened, OPEN_FAILED.
   */
  openBacking(image: OpenImage): Promise<OpenedLayer>;
  /** Opens the external data file of `image`, which is raw. */
  openDataFile(image: OpenImage): Promise<BlockSource>;
}
