import type { OpenImage } from '../../image/image.js';
import { encodeBitmapsExtension } from '../../qcow2/encode-bitmaps.js';
import type { RawExtension } from '../../qcow2/encode-extensions.js';
import type { BitmapsExtension } from '../../qcow2/extensions.js';
import { EXTENSION_TYPE } from '../../qcow2/spec.js';
import { rawExtension } from '../header/header-area.js';
import { changedSectors } from '../header/header-plan.js';
import { layHeader } from '../header/lay-header.js';
import type { LiteralWrite } from '../tx/plan.js';

const SECTOR_BYTES = 512;

/** The first sector with other extensions, and what has to be there before it. */
export interface FirstSector {
  readonly bytes: Uint8Array;
  /** The name of the backing file, where it moves out of the way. */
  readonly behind: readonly LiteralWrite[];
  /** The feature name table, where it has no place in the sector: `planFeatureNames` puts it back. */
  readonly leftOut: Uint8Array | undefined;
}

/**
 * The first sector with another bitmaps extension, or none. Extensions begin in it and can't be moved, so all of them have
 * to end in it where anything of them changes: feature names, which nothing depends on, are left out where they don't.
 *
 * @param before the first cluster.
 * @throws QsnapError LIMIT_EXCEEDED where the header has no room.
 */
export function firstSectorWith(
  image: OpenImage,
  before: Uint8Array,
  bitmaps: BitmapsExtension | undefined,
): FirstSector {
  const { headerBytes, backingName } = image.header;
  const { at, bytes } = backingName;
  const { after, leftOut } = layHeader(before, {
    headerBytes,
    // The planner sets them.
    autoclear: undefined,
    extensions: withBitmaps(image, bitmaps),
    name: at === 0 ? undefined : before.slice(at, at + bytes),
    nameAt: at,
  });
  return { bytes: after.slice(0, SECTOR_BYTES), behind: changedSectors(before, after), leftOut };
}

/** In the place of the old one, else at the end. */
function withBitmaps(
  { extensions }: OpenImage,
  bitmaps: BitmapsExtension | undefined,
): readonly RawExtension[] {
  const raw = extensions.map(rawExtension);
  const others = raw.filter(({ type }) => type !== EXTENSION_TYPE.bitmaps);
  if (bitmaps === undefined) return others;
  const extension = { type: EXTENSION_TYPE.bitmaps, bytes: encodeBitmapsExtension(bitmaps) };
  if (others.length === raw.length) return [...raw, extension];
  return raw.map((other) => (other.type === EXTENSION_TYPE.bitmaps ? extension : other));
}
