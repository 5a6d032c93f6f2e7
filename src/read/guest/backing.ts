import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { backingName, type OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { OpenedLayer } from './gate.js';

/** The error of a read that needs a backing file which nobody may open. */
export function refusedBacking(image: OpenImage): QsnapError {
  const name = printableText(backingName(image) ?? '');
  return new QsnapError(
    'BACKING_REFUSED',
    `some guest data lies in the backing file "${name}", which was not opened`,
    {
      file: image.source.label,
      hint: 'nothing that an image names is opened unless that is asked for',
    },
  );
}

/** The files from the first image to one below it; guards against chains that don't end. */
export class ChainGuard {
  readonly #identities: readonly (string | undefined)[];

  private constructor(identities: readonly (string | undefined)[]) {
    this.#identities = identities;
  }

  /** The guard for what is below the first image, of which not every source tells which file it is. */
  static async from(first: BlockSource): Promise<ChainGuard> {
    return new ChainGuard([await first.identity?.()]);
  }

  /**
   * The guard for what is below `layer`.
   *
   * @throws QsnapError BACKING_LOOP when the file is in the chain already; LIMIT_EXCEEDED for a
   *   chain longer than any that makes sense.
   */
  below(image: OpenImage, layer: OpenedLayer): ChainGuard {
    const file = image.source.label;
    if (this.#identities.includes(layer.identity)) {
      const name = printableText(backingName(image) ?? '');
      throw new QsnapError(
        'BACKING_LOOP',
        `the chain of backing files leads back to itself: "${name}" is in it already`,
        { file, expected: 'a chain that ends', actual: layer.identity },
      );
    }
    const max = LIMITS.backingDepthMax.value;
    if (this.#identities.length > max) {
      throw new QsnapError('LIMIT_EXCEEDED', `the chain of backing files is longer than ${max}`, {
        file,
        expected: `at most ${max} backing files`,
      });
    }
    return new ChainGuard([...this.#identities, layer.identity]);
  }
}

/** Whether a file begins as a qcow2 image does. */
export async function looksLikeQcow2(source: BlockSource): Promise<boolean> {
  const head = new Uint8Array(4);
  await source.readBatch([{ at: 0, into: head }]);
  return head[0] === 0x51 && head[1] === 0x46 && head[2] === 0x49 && head[3] === 0xfb;
}
