/** Why a bitmap was not changed, in QEMU's words. */
import type { BitmapAction, OpenImage, QsnapError } from '../../index.js';
import { printable } from '../../internal.js';
import { bytesOf } from './bytes.js';
import { BITMAP } from './messages-bitmap.js';
import { sentenceOf } from './messages.js';
import { Refusal } from './refusal.js';

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
  const reason = reasonOf(error, tried, images);
  return new Refusal(
    kind === 'remove-all' ? BITMAP.failedAll(reason) : BITMAP.failed(kind, name, reason),
  );
}

function reasonOf(error: QsnapError, tried: Tried, { image, source = image }: Images): string {
  const { name } = tried;
  switch (error.code) {
    case 'BITMAP_NOT_FOUND':
      return BITMAP.notFound(meant(error, tried));
    case 'BITMAP_INCONSISTENT':
      return BITMAP.inconsistent(meant(error, tried));
    case 'BITMAP_GRANULARITY_INVALID':
      return BITMAP.granularity;
    case 'BITMAP_SIZES_DIFFER':
      return BITMAP.otherSize(image.header.diskSizeBytes, source.header.diskSizeBytes);
    case 'NAME_IN_USE':
      return BITMAP.exists(name);
    case 'NAME_INVALID':
      return name === '' ? BITMAP.noName : BITMAP.notStored(name, BITMAP.longName);
    case 'BITMAPS_REFUSED':
      if (image.header.version === 3) return sentenceOf(error);
      return BITMAP.notStored(name, BITMAP.version2);
    case 'LIMIT_EXCEEDED':
      return limitOf(error, name);
    default:
      return sentenceOf(error);
  }
}

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
