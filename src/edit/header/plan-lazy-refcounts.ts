import { encodeStruct } from '../../base/struct.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { COMPATIBLE, HEADER_V2, HEADER_V3 } from '../../qcow2/spec.js';
import { refuseUnfit } from '../plan/refuse.js';
import { headerPlan, readFirstCluster, type HeaderPlan } from './header-plan.js';

const LAZY = 1n << BigInt(COMPATIBLE['lazy refcounts']);

/**
 * Plans to let QEMU postpone refcounts, or not: one bit of the header.
 *
 * @returns undefined where it is so already.
 * @throws QsnapError UNSUPPORTED_FEATURE in version 2, and what `planBacking` throws of the image.
 */
export async function planLazyRefcounts<Source extends BlockSource>(
  image: OpenImage<Source>,
  isLazy: boolean,
): Promise<HeaderPlan<Source> | undefined> {
  refuseUnfit(image, { keepsData: true });
  const { header } = image;
  if (header.lazyRefcounts === isLazy) return undefined;
  if (header.version === 2) {
    throw new QsnapError('UNSUPPORTED_FEATURE', 'version 2 has no lazy refcounts', {
      structure: 'header',
      at: HEADER_V2.version.at,
      expected: 'version 3',
    });
  }
  const before = await readFirstCluster(image);
  const after = before.slice();
  const compatible = isLazy ? header.compatible | LAZY : header.compatible & ~LAZY;
  encodeStruct(HEADER_V3, { compatible }, after);
  const summary = isLazy ? 'postpone refcounts' : 'keep refcounts up to date';
  return headerPlan(image, before, { after, leftOut: undefined }, summary);
}
