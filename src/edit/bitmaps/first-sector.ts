import { hasSameBytes } from '../../base/bytes.js';
import { roundUp } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { encodeBitmapsExtension } from '../../qcow2/encode-bitmaps.js';
import type { RawExtension } from '../../qcow2/encode-extensions.js';
import type { BitmapsExtension } from '../../qcow2/extensions.js';
import { EXTENSION_TYPE } from '../../qcow2/spec.js';
import {
  endOfExtensions,
  rawExtension,
  withHeaderArea,
  type HeaderArea,
} from '../header/header-area.js';
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
  const all = withBitmaps(image, bitmaps);
  const { header } = image;
  const from = header.headerBytes;
  const end = endOfExtensions(from, all);
  const { backingName } = header;
  const name =
    backingName.at === 0
      ? undefined
      : before.slice(backingName.at, backingName.at + backingName.bytes);
  // The name stays where it is, or lies right behind the extensions.
  for (const at of [backingName.at, end]) {
    if (name !== undefined && at < end) continue;
    const whole = compose(image, before, { extensions: all, name: name && { at, bytes: name } });
    if (whole !== undefined && sameBehind(whole, before)) return sectorOf(whole, [], undefined);
  }
  const fits = end <= SECTOR_BYTES;
  const kept = fits ? all : all.filter(({ type }) => type !== EXTENSION_TYPE.featureNames);
  const keptEnd = endOfExtensions(from, kept);
  if (keptEnd > SECTOR_BYTES) throw noRoom('the first sector', keptEnd, SECTOR_BYTES);
  const least = Math.max(SECTOR_BYTES, end);
  const stays = backingName.at >= least;
  const at = stays ? backingName.at : Math.max(least, usedBytes(before));
  const moved = compose(image, before, { extensions: kept, name: name && { at, bytes: name } });
  if (moved === undefined) throw noRoom('the first cluster', at + name!.length, before.length);
  const isMoved = name !== undefined && !stays;
  const behind = isMoved ? [nameWrite(before, name, at)] : [];
  return sectorOf(moved, behind, fits ? undefined : featureNamesOf(all));
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

/** Undefined where it has no room. */
function compose(image: OpenImage, before: Uint8Array, area: HeaderArea): Uint8Array | undefined {
  const { headerBytes } = image.header;
  const end = endOfExtensions(headerBytes, area.extensions);
  const nameEnd = area.name === undefined ? 0 : area.name.at + area.name.bytes.length;
  if (Math.max(end, nameEnd) > before.length) return undefined;
  return withHeaderArea(before, headerBytes, area, undefined);
}

const sameBehind = (after: Uint8Array, before: Uint8Array): boolean =>
  hasSameBytes(after.subarray(SECTOR_BYTES), before.subarray(SECTOR_BYTES));

function sectorOf(
  cluster: Uint8Array,
  behind: readonly LiteralWrite[],
  leftOut: Uint8Array | undefined,
): FirstSector {
  return { bytes: cluster.slice(0, SECTOR_BYTES), behind, leftOut };
}

/** In whole sectors: what lies beside the name stays. */
function nameWrite(before: Uint8Array, name: Uint8Array, at: number): LiteralWrite {
  const after = before.slice();
  after.set(name, at);
  const first = at - (at % SECTOR_BYTES);
  const bytes = after.slice(first, roundUp(at + name.length, SECTOR_BYTES));
  return { kind: 'literal', what: 'backing file name', at: first, bytes };
}

/** How many of the bytes are used: behind them are zeros. */
function usedBytes(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

function featureNamesOf(extensions: readonly RawExtension[]): Uint8Array | undefined {
  return extensions.find(({ type }) => type === EXTENSION_TYPE.featureNames)?.bytes;
}

function noRoom(where: string, needed: number, bytes: number): QsnapError {
  return new QsnapError('LIMIT_EXCEEDED', `the header has no room for bitmaps in ${where}`, {
    structure: 'header extensions',
    actual: `${needed} bytes`,
    expected: `at most ${bytes} bytes`,
  });
}
