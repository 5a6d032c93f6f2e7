/** Why a bitmap was not changed, in QEMU's words. */
import type { BitmapAction, ErrorCode, OpenImage, QsnapError } from '../../../index.js';
import { printable } from '../../../internal.js';
import { bytesOf } from '../grammar/bytes.js';
import { BITMAP } from '../messages/bitmap.js';
import { sentenceOf } from '../messages.js';
import { Refusal } from '../refusal.js';

/** What was to be done with a bitmap. */
interface Tried {
  readonly kind: BitmapAction['kind'];
  readonly name: string;
  /** The bitmap to merge. */
  readonly from: string;
}

interface Images {
  readonly image: OpenImage;
  readonly source: OpenImage | undefined;
}

export function refusalOf(error: QsnapError, tried: Tried, images: Images): Refusal {
  const { kind, name } = tried;
  const reason = (REASONS[error.code] ?? sentenceOf)(error, tried, images);
  return new Refusal(
    kind === 'remove-all' ? BITMAP.failedAll(reason) : BITMAP.failed(kind, name, reason),
  );
}

type ReasonOf = (error: QsnapError, tried: Tried, images: Images) => string;

const REASONS: Partial<Record<ErrorCode, ReasonOf>> = {
  BITMAP_NOT_FOUND: (error, tried) => BITMAP.notFound(meant(error, tried)),
  BITMAP_INCONSISTENT: (error, tried) => BITMAP.inconsistent(meant(error, tried)),
  BITMAP_GRANULARITY_INVALID: () => BITMAP.granularity,
  BITMAP_SIZES_DIFFER: (_, _tried, { image, source = image }) =>
    BITMAP.otherSize(image.header.diskSizeBytes, source.header.diskSizeBytes),
  NAME_IN_USE: (_, { name }) => BITMAP.exists(name),
  NAME_INVALID: (_, { name }) =>
    name === '' ? BITMAP.noName : BITMAP.notStored(name, BITMAP.longName),
  BITMAPS_REFUSED: (error, { name }, { image }) =>
    image.header.version === 3 ? sentenceOf(error) : BITMAP.notStored(name, BITMAP.version2),
  LIMIT_EXCEEDED: (error, { name }) => limitOf(error, name),
};

/** The bitmap that an error is about: the one to change, or the one to merge. */
function meant({ details }: QsnapError, { kind, name, from }: Tried): string {
  return kind === 'merge' && details.actual !== printable(bytesOf(name)) ? from : name;
}

function limitOf(error: QsnapError, name: string): string {
  const { structure, actual } = error.details;
  if (structure === 'bitmap data') return BITMAP.notStored(name, BITMAP.tooLong);
  if (structure !== 'bitmap directory') return sentenceOf(error);
  const isCount = actual?.endsWith('bitmaps') === true;
  return BITMAP.notStored(name, isCount ? BITMAP.tooMany : BITMAP.fullDirectory);
}
