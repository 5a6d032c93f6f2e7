import { sameBytes, utf8Bytes } from '../../base/text.js';
import { isQsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { storedBitmapEntries } from '../../qcow2/encode-bitmaps.js';
import { refuseUnloadableBitmaps } from '../plan/refuse.js';
import type { BitmapAction } from './bitmap-action.js';
import { BitmapContent } from './bitmap-content.js';
import type { NextBitmap } from './next-bitmap.js';
import {
  nameInUse,
  notFound,
  refuseGranularity,
  refuseImage,
  refuseInconsistent,
  refuseLong,
  refuseMany,
  refuseName,
  refuseOtherSize,
} from './refuse.js';

/** The bitmaps of an image, those that can be relied on. */
export async function bitmapsOf(image: OpenImage): Promise<readonly NextBitmap[]> {
  const extension = image.extensions.find(({ kind }) => kind === 'bitmaps');
  if (image.bitmaps.length === 0 || extension?.kind !== 'bitmaps') return [];
  const { directoryAt, directoryBytes } = extension.bitmaps;
  const bytes = new Uint8Array(directoryBytes);
  await image.source.readBatch([{ at: directoryAt, into: bytes }]);
  const entries = storedBitmapEntries(bytes, image.bitmaps.length);
  return image.bitmaps.map((bitmap, i) => {
    const entry = entries[i]!;
    const { nameBytes, extraData, granularityBits } = entry;
    const { inUse, auto } = bitmap;
    const stored = { entry, bitmap };
    return { nameBytes, extraData, granularityBits, inUse, auto, stored, content: undefined };
  });
}

/**
 * What a number of actions leave, one after the other.
 *
 * @throws QsnapError what an action is refused for, with its position in `action`.
 */
export async function applyActions(
  image: OpenImage,
  actions: readonly BitmapAction[],
): Promise<readonly NextBitmap[]> {
  let bitmaps = await bitmapsOf(image);
  for (const [action, what] of actions.entries()) {
    try {
      bitmaps = await apply(image, bitmaps, what);
    } catch (error) {
      throw isQsnapError(error) ? error.with({ action }) : error;
    }
  }
  return bitmaps;
}

type Bitmaps = readonly NextBitmap[];

async function apply(image: OpenImage, bitmaps: Bitmaps, action: BitmapAction): Promise<Bitmaps> {
  if (action.kind === 'remove-all') return [];
  const name = nameBytesOf(action.name);
  if (action.kind === 'add') return [...bitmaps, added(image, bitmaps, name, action)];
  const found = find(bitmaps, name);
  const without = (changed: readonly NextBitmap[]): Bitmaps =>
    bitmaps.flatMap((bitmap) => (bitmap === found ? changed : [bitmap]));
  if (action.kind === 'remove') return without([]);
  const source = action.kind === 'merge' ? await sourceOf(image, bitmaps, action) : undefined;
  refuseInconsistent(found);
  switch (action.kind) {
    case 'clear':
      return without([{ ...found, content: emptyContent(image, found) }]);
    case 'enable':
    case 'disable':
      return without([{ ...found, auto: action.kind === 'enable' }]);
    case 'merge':
      return without([await merged(image, found, source!)]);
  }
}

const nameBytesOf = (name: string | Uint8Array): Uint8Array =>
  typeof name === 'string' ? utf8Bytes(name) : name;

function find(bitmaps: Bitmaps, name: Uint8Array): NextBitmap {
  const found = bitmaps.find(({ nameBytes }) => sameBytes(nameBytes, name));
  if (found === undefined) throw notFound(name);
  return found;
}

const emptyContent = (image: OpenImage, { granularityBits }: NextBitmap): BitmapContent =>
  new BitmapContent(image, 2 ** granularityBits);

function added(
  image: OpenImage,
  bitmaps: Bitmaps,
  nameBytes: Uint8Array,
  { granularityBytes, enabled = true }: Extract<BitmapAction, { kind: 'add' }>,
): NextBitmap {
  const { clusterBytes } = image.geometry;
  refuseName(nameBytes);
  const granularity = granularityBytes ?? Math.min(65_536, Math.max(4096, clusterBytes));
  refuseGranularity(granularity);
  if (bitmaps.some((bitmap) => sameBytes(bitmap.nameBytes, nameBytes))) throw nameInUse(nameBytes);
  refuseImage(image);
  const content = new BitmapContent(image, granularity);
  refuseLong(content.bits, clusterBytes);
  const bitmap = {
    nameBytes,
    extraData: new Uint8Array(0),
    granularityBits: Math.log2(granularity),
    inUse: false,
    auto: enabled,
    stored: undefined,
    content,
  };
  refuseMany([...bitmaps, bitmap]);
  return bitmap;
}

interface MergeSource {
  readonly image: OpenImage;
  readonly bitmap: NextBitmap;
}

async function sourceOf(
  image: OpenImage,
  bitmaps: Bitmaps,
  { from, source }: Extract<BitmapAction, { kind: 'merge' }>,
): Promise<MergeSource> {
  const name = nameBytesOf(from);
  if (source === undefined) return { image, bitmap: find(bitmaps, name) };
  refuseUnloadableBitmaps(source);
  return { image: source, bitmap: find(await bitmapsOf(source), name) };
}

async function merged(image: OpenImage, into: NextBitmap, from: MergeSource): Promise<NextBitmap> {
  refuseInconsistent(from.bitmap);
  refuseOtherSize(image.header.diskSizeBytes, from.image.header.diskSizeBytes);
  if (from.bitmap === into) return into;
  const content = await contentOf(image, into);
  await content.merge(await contentOf(from.image, from.bitmap));
  return { ...into, content };
}

async function contentOf(
  image: OpenImage,
  { content, stored }: NextBitmap,
): Promise<BitmapContent> {
  return content ?? BitmapContent.read(image, stored!.bitmap);
}
