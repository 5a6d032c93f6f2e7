import { hasSameBytes } from '../../base/bytes.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { RawExtension } from '../../qcow2/encode-extensions.js';
import { EXTENSION_TYPE } from '../../qcow2/spec.js';
import { keptAutoclear } from '../plan/autoclear.js';
import { endOfExtensions, withHeaderArea, type HeaderArea } from './header-area.js';

/** The header's fields as they are to be. */
export interface Head {
  readonly headerBytes: number;
  /** Undefined in version 2. */
  readonly autoclear: bigint | undefined;
  /** Fields that change besides. */
  readonly set?: (bytes: Uint8Array) => void;
}

/** What is to lie behind them. */
export interface WantedHeader extends Head {
  readonly extensions: readonly RawExtension[];
  /** The name of the backing file; undefined: there is none. */
  readonly name: Uint8Array | undefined;
  /** Where the same name lies already, and may stay. */
  readonly nameAt?: number;
}

/** A first cluster that one write of its first sector makes the image's. */
export interface LaidHeader {
  readonly after: Uint8Array;
  /** The feature name table, where it has no place in the first sector: `planFeatureNames` puts it back. */
  readonly leftOut: Uint8Array | undefined;
}

const SECTOR_BYTES = 512;

/** The fields of the image as it is. */
export function keptHead(image: OpenImage): Head {
  const { version, headerBytes } = image.header;
  return { headerBytes, autoclear: version === 3 ? keptAutoclear(image) : undefined };
}

/**
 * Finds places for extensions and the name so that the first sector alone switches to them. A name that does not fit into
 * it lies elsewhere in the first cluster, where nothing of the old state lies. Extensions begin in the sector and can't
 * be moved: where they don't all fit, the feature names are left out, which nothing depends on.
 *
 * @param before the first cluster as it is.
 * @throws QsnapError LIMIT_EXCEEDED where the first sector or cluster has no room.
 */
export function layHeader(before: Uint8Array, wanted: WantedHeader): LaidHeader {
  const { headerBytes: from, extensions: all, name, nameAt: oldAt = 0 } = wanted;
  const end = endOfExtensions(from, all);
  // Where all lies in the first sector, old and new, one write changes it.
  for (const at of oldAt < end ? [end] : [oldAt, end]) {
    const whole = withHead(before, wanted, areaOf(all, name, at));
    if (whole !== undefined && sameBehind(whole, before)) {
      return { after: whole, leftOut: undefined };
    }
  }
  const fits = end <= SECTOR_BYTES;
  const kept = fits ? all : all.filter(({ type }) => type !== EXTENSION_TYPE.featureNames);
  const keptEnd = endOfExtensions(from, kept);
  if (keptEnd > SECTOR_BYTES) throw noRoom('the first sector', keptEnd, SECTOR_BYTES);
  const least = Math.max(SECTOR_BYTES, end);
  const nameAt = oldAt >= least ? oldAt : Math.max(least, usedBytes(before));
  const after = withHead(before, wanted, areaOf(kept, name, nameAt));
  if (after === undefined) {
    throw noRoom('the first cluster', nameAt + (name?.length ?? 0), before.length);
  }
  // Behind the first sector all stays as it is but for the new name, which nothing refers to before.
  after.set(before.subarray(SECTOR_BYTES), SECTOR_BYTES);
  if (name !== undefined) after.set(name, nameAt);
  return { after, leftOut: fits ? undefined : featureNamesOf(all) };
}

/** The first cluster with another area behind the fields; undefined where it has no room. */
export function withHead(
  before: Uint8Array,
  { headerBytes, autoclear, set }: Head,
  area: HeaderArea,
): Uint8Array | undefined {
  const end = endOfExtensions(headerBytes, area.extensions);
  const nameEnd = area.name === undefined ? 0 : area.name.at + area.name.bytes.length;
  if (Math.max(end, nameEnd) > before.length) return undefined;
  const bytes = before.slice();
  set?.(bytes);
  return withHeaderArea(bytes, headerBytes, area, autoclear);
}

function areaOf(
  extensions: readonly RawExtension[],
  name: Uint8Array | undefined,
  at: number,
): HeaderArea {
  return { extensions, name: name && { at, bytes: name } };
}

const sameBehind = (after: Uint8Array, before: Uint8Array): boolean =>
  hasSameBytes(after.subarray(SECTOR_BYTES), before.subarray(SECTOR_BYTES));

/** How many of the bytes are used: behind them are zeros. */
function usedBytes(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

function featureNamesOf(extensions: readonly RawExtension[]): Uint8Array | undefined {
  return extensions.find(({ type }) => type === EXTENSION_TYPE.featureNames)?.bytes;
}

function noRoom(where: string, needed: number, bytes: number): QsnapError {
  return new QsnapError('LIMIT_EXCEEDED', `the header has no room for this in ${where}`, {
    structure: 'header extensions',
    actual: `${needed} bytes`,
    expected: `at most ${bytes} bytes`,
  });
}
