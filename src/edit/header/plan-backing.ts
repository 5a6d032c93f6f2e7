import { hasSameBytes } from '../../base/bytes.js';
import { printable } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { RawExtension } from '../../qcow2/encode-extensions.js';
import { LIMITS } from '../../qcow2/limits.js';
import { EXTENSION_TYPE, HEADER_V3 } from '../../qcow2/spec.js';
import { keptAutoclear } from '../plan/autoclear.js';
import { refuseUnfit } from '../plan/refuse.js';
import { bound, type EditPlan, type LiteralWrite } from '../tx/plan.js';
import { endOfExtensions, rawExtension, withHeaderArea, type HeaderArea } from './header-area.js';

/** The file that an image stands on. */
export interface NewBacking {
  /** As it is stored: UTF-8 for a string. A relative name starts from the folder of the image. */
  readonly name: string | Uint8Array;
  /** `qcow2`, `raw` or another format of QEMU's; undefined: not recorded, so that whoever opens it looks. */
  readonly format?: string | undefined;
}

/** A change of the first cluster, and what is to be put back after it. */
export interface HeaderPlan<Source extends BlockSource = BlockSource> extends EditPlan<Source> {
  /** The feature name table, where it has no place in the first sector: `planFeatureNames` puts it back. */
  readonly leftOut: Uint8Array | undefined;
}

const SECTOR_BYTES = 512;

/**
 * Plans to record another backing file, or none. No guest data is looked at or moved: what the disk shows changes where
 * the files differ. Nothing is opened.
 *
 * The first sector is what switches. A name that does not fit into it lies elsewhere in the first cluster, and is there
 * before. Extensions begin in it and can't be moved: where they don't all fit, the feature names are left out, which
 * nothing depends on, until the switch is done.
 *
 * ```ts
 * const plan = await planBacking(image, { name: 'base.qcow2', format: 'qcow2' });
 * await executePlan(plan);
 * ```
 *
 * @param backing undefined: the image stands on nothing, and what it does not hold reads as zeros.
 * @throws QsnapError NAME_INVALID, LIMIT_EXCEEDED where the first sector or cluster has no room, EXTERNAL_DATA_FILE
 *   where a raw data file is the whole disk, IMAGE_DIRTY, IMAGE_MARKED_CORRUPT, IMAGE_DAMAGED.
 */
export async function planBacking<Source extends BlockSource>(
  image: OpenImage<Source>,
  backing: NewBacking | undefined,
): Promise<HeaderPlan<Source>> {
  refuseUnfit(image, { keepsData: true });
  if (backing !== undefined) refuseRawData(image);
  const name = backing && nameBytes(backing.name);
  const format = backing?.format === undefined ? [] : [formatExtension(backing.format)];
  const others = image.extensions.filter(({ kind }) => kind !== 'backing-format').map(rawExtension);
  const all = [...format, ...others];
  const summary =
    name === undefined ? 'drop the backing file' : `stand on the backing file "${printable(name)}"`;
  const { before, from } = await firstBytes(image);
  const end = endOfExtensions(from, all);

  // Where all lies in the first sector, old and new, one write changes it.
  const near = areaOf(all, name, end);
  const whole = compose(image, before, near);
  if (whole !== undefined && sameBehind(whole, before)) {
    return headerPlan(image, before, whole, summary, undefined);
  }
  const fits = end <= SECTOR_BYTES;
  const kept = fits ? all : all.filter(({ type }) => type !== EXTENSION_TYPE.featureNames);
  if (endOfExtensions(from, kept) > SECTOR_BYTES) {
    throw noRoom('the first sector', endOfExtensions(from, kept), SECTOR_BYTES);
  }
  const nameAt = Math.max(SECTOR_BYTES, end, usedBytes(before));
  const sector = compose(image, before, areaOf(kept, name, nameAt));
  if (sector === undefined) {
    throw noRoom('the first cluster', nameAt + (name?.length ?? 0), before.length);
  }
  // Behind the first sector all stays as it is but for the new name, which nothing refers to before.
  sector.set(before.subarray(SECTOR_BYTES), SECTOR_BYTES);
  if (name !== undefined) sector.set(name, nameAt);
  const leftOut = fits ? undefined : featureNamesOf(all);
  return headerPlan(image, before, sector, summary, leftOut);
}

/**
 * Plans to put a feature name table back that `planBacking` had left out, and to clear what was left behind the header.
 *
 * @returns undefined where there is nothing to do.
 * @throws QsnapError as `planBacking`.
 */
export async function planFeatureNames<Source extends BlockSource>(
  image: OpenImage<Source>,
  names: Uint8Array | undefined,
): Promise<HeaderPlan<Source> | undefined> {
  refuseUnfit(image, { keepsData: true });
  const { before, from } = await firstBytes(image);
  const { backingName } = image.header;
  const name = before.slice(backingName.at, backingName.at + backingName.bytes);
  const kept = image.extensions.map(rawExtension);
  const added = names === undefined ? [] : [{ type: EXTENSION_TYPE.featureNames, bytes: names }];
  const all = [...kept, ...added];
  if (backingName.at !== 0 && endOfExtensions(from, all) > backingName.at) return undefined;
  const area = areaOf(all, backingName.at === 0 ? undefined : name, backingName.at);
  const after = compose(image, before, area);
  if (after === undefined || hasSameBytes(after, before)) return undefined;
  return headerPlan(image, before, after, 'complete the header', undefined);
}

function areaOf(
  extensions: readonly RawExtension[],
  name: Uint8Array | undefined,
  at: number,
): HeaderArea {
  return { extensions, name: name && { at, bytes: name } };
}

/** Undefined where it has no room. */
function compose(image: OpenImage, before: Uint8Array, area: HeaderArea): Uint8Array | undefined {
  const { header } = image;
  const end = endOfExtensions(header.headerBytes, area.extensions);
  const nameEnd = area.name === undefined ? 0 : area.name.at + area.name.bytes.length;
  if (Math.max(end, nameEnd) > before.length) return undefined;
  const autoclear = header.version === 3 ? keptAutoclear(image) : undefined;
  return withHeaderArea(before, header.headerBytes, area, autoclear);
}

const sameBehind = (after: Uint8Array, before: Uint8Array): boolean =>
  hasSameBytes(after.subarray(SECTOR_BYTES), before.subarray(SECTOR_BYTES));

/** The first cluster, and where the extensions in it begin. */
async function firstBytes(image: OpenImage): Promise<{ before: Uint8Array; from: number }> {
  const before = new Uint8Array(image.geometry.clusterBytes);
  await image.source.readBatch([{ at: 0, into: before }]);
  return { before, from: image.header.headerBytes };
}

/** How many of the bytes are used: behind them are zeros. */
function usedBytes(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

function nameBytes(name: string | Uint8Array): Uint8Array {
  const bytes = typeof name === 'string' ? new TextEncoder().encode(name) : name;
  const { value: most } = LIMITS.backingNameBytesMax;
  if (bytes.length > 0 && bytes.length <= most && !bytes.includes(0)) return bytes;
  throw new QsnapError('NAME_INVALID', 'this can be no name of a backing file', {
    structure: 'backing file name',
    actual: bytes.includes(0) ? 'a zero byte in it' : `${bytes.length} bytes`,
    expected: `1 to ${most} bytes, none of them zero`,
  });
}

/** QEMU opens no image that names a longer format. */
const FORMAT_BYTES_MAX = 15;

function formatExtension(format: string): RawExtension {
  const bytes = new TextEncoder().encode(format);
  if (bytes.length > 0 && bytes.length <= FORMAT_BYTES_MAX && !bytes.includes(0)) {
    return { type: EXTENSION_TYPE.backingFormat, bytes };
  }
  throw new QsnapError('NAME_INVALID', 'this can be no format of a backing file', {
    structure: 'backing format',
    actual: bytes.includes(0) ? 'a zero byte in it' : `${bytes.length} bytes`,
    expected: `1 to ${FORMAT_BYTES_MAX} bytes, none of them zero`,
  });
}

/** A raw data file is the whole disk, so nothing may show through. QEMU: qcow2_change_backing_file. */
function refuseRawData({ header }: OpenImage): void {
  if (!header.rawExternalData) return;
  throw new QsnapError(
    'EXTERNAL_DATA_FILE',
    'the external data file is to be readable as a raw disk, so the image can stand on no backing file',
    { structure: 'header', at: HEADER_V3.autoclear.at },
  );
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

/** Writes what differs behind the first sector, and then that sector. */
function headerPlan<Source extends BlockSource>(
  image: OpenImage<Source>,
  before: Uint8Array,
  after: Uint8Array,
  summary: string,
  leftOut: Uint8Array | undefined,
): HeaderPlan<Source> {
  const shadow = changedSectors(before, after);
  const shadowBytes = shadow.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const plan = {
    headerSector: image.headerSector,
    fileSizeBytes: image.fileSizeBytes,
    shadow,
    switch: { at: 0, bytes: after.slice(0, SECTOR_BYTES) },
    freed: [],
    punch: [],
    facts: {
      shadowBytes,
      growthBytes: 0,
      freedBytes: 0,
      freedDataBytes: 0,
      leakedClusters: 0,
    },
    operation: 'set' as const,
    summary,
    created: [],
    leftOut,
  };
  return bound(plan, image);
}

function changedSectors(before: Uint8Array, after: Uint8Array): LiteralWrite[] {
  const changed: number[] = [];
  for (let at = SECTOR_BYTES; at < after.length; at += SECTOR_BYTES) {
    const [now, was] = [after, before].map((bytes) => bytes.subarray(at, at + SECTOR_BYTES));
    if (!hasSameBytes(now!, was!)) changed.push(at);
  }
  const [at] = changed;
  if (at === undefined) return [];
  const bytes = after.slice(at, changed.at(-1)! + SECTOR_BYTES);
  return [{ kind: 'literal', what: 'header extensions', at, bytes }];
}
