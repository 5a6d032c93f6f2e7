import { hex } from '../../../base/words.js';
import { QsnapError } from '../../../errors.js';
import type { OpenImage } from '../../../image/image.js';
import type { Segment } from '../../../read/guest/segments.js';
import type { Side } from './pair-steps.js';
import type { Pair, Place } from './pairs.js';
import type { DiskPair } from './table-pairs.js';

type Images = Readonly<Record<Side, OpenImage>>;

/** The error for a pair whose bytes differ, `from` bytes behind its beginning. */
export function differentBytes(
  { disk, guestAt, old, made }: Pair,
  from: number,
  images: Images,
  cause?: unknown,
): QsnapError {
  const at = hostOffset(made, from);
  const structure = made.kind === 'compressed' ? 'compressed cluster' : 'data cluster';
  return different(
    disk,
    guestAt + from,
    images,
    {
      ...{ structure, ...(at !== undefined && { at }) },
      expected: placeText(old, hostOffset(old, from), images.old),
      actual: placeText(made, at, images.made),
    },
    cause,
  );
}

/** The error for bytes that one image leaves to the backing file, and the other does not. */
export function differentSegments(
  disk: DiskPair,
  guestAt: number,
  old: Segment,
  made: Segment,
  images: Images,
): QsnapError {
  const { kind: expected } = old;
  return different(disk, guestAt, images, { structure: 'L2 table', expected, actual: made.kind });
}

/** Who reads an image that another program writes to may compare two states of it. */
export const REPORT_HINT =
  'the old image is as it was; if nobody wrote to it meanwhile, please report this';

function different(
  { name, snapshotId }: DiskPair,
  guestAt: number,
  { made }: Images,
  details: QsnapError['details'],
  cause?: unknown,
): QsnapError {
  const message = `${name} of the new image is not what it was, from guest byte ${hex(guestAt)} on`;
  const place = {
    guestAt,
    file: made.source.label,
    ...(snapshotId !== undefined && { snapshotId }),
  };
  return new QsnapError(
    'VERIFY_FAILED',
    message,
    { ...details, ...place, hint: REPORT_HINT },
    cause,
  );
}

/** Of compressed bytes the offset of their cluster, of zeros none. */
function hostOffset({ kind, at }: Place, from: number): number | undefined {
  if (kind === 'zero') return undefined;
  return kind === 'data' ? at + from : at;
}

function placeText({ kind }: Place, at: number | undefined, { source }: OpenImage): string {
  if (at === undefined) return 'zeros';
  return `the ${kind === 'data' ? 'bytes' : 'compressed cluster'} at ${hex(at)} of ${source.label}`;
}
