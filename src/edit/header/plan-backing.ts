import { hasSameBytes } from '../../base/bytes.js';
import { printable } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { RawExtension } from '../../qcow2/encode-extensions.js';
import { LIMITS } from '../../qcow2/limits.js';
import { EXTENSION_TYPE, HEADER_V3 } from '../../qcow2/spec.js';
import { refuseUnfit } from '../plan/refuse.js';
import { endOfExtensions, rawExtension } from './header-area.js';
import { headerPlan, readFirstCluster, type HeaderPlan } from './header-plan.js';
import { keptHead, layHeader, withHead } from './lay-header.js';

/** The file that an image stands on. */
export interface NewBacking {
  /** As it is stored: UTF-8 for a string. A relative name starts from the folder of the image. */
  readonly name: string | Uint8Array;
  /** `qcow2`, `raw` or another format of QEMU's; undefined: not recorded, so that whoever opens it looks. */
  readonly format?: string | undefined;
}

/**
 * Plans to record another backing file, or none. No guest data is looked at or moved: what the disk shows changes where
 * the files differ. Nothing is opened.
 *
 * The first sector is what switches. A name that does not fit into it lies elsewhere in the first cluster, and is there
 * before. Extensions begin in it and can't be moved: where they don't all fit, the feature names are left out, which
 * nothing depends on, until the switch is done.
 *
 * ```ts
 * const plan = await planBacking(await openImage(device), { name: 'base.qcow2', format: 'qcow2' });
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
  const summary =
    name === undefined ? 'drop the backing file' : `stand on the backing file "${printable(name)}"`;
  const before = await readFirstCluster(image);
  const laid = layHeader(before, { ...keptHead(image), extensions: [...format, ...others], name });
  return headerPlan(image, before, laid, summary);
}

/**
 * Plans to put a feature name table back that `planBacking` had left out, and to clear what was left behind the header.
 *
 * ```ts
 * const plan = await planBacking(await openImage(device), { name: 'base.qcow2', format: 'qcow2' });
 * await executePlan(plan);
 * const completion = await planFeatureNames(await openImage(device), plan.leftOut);
 * if (completion !== undefined) await executePlan(completion);
 * ```
 *
 * @returns undefined where there is nothing to do.
 * @throws QsnapError as `planBacking`.
 */
export async function planFeatureNames<Source extends BlockSource>(
  image: OpenImage<Source>,
  names: Uint8Array | undefined,
): Promise<HeaderPlan<Source> | undefined> {
  refuseUnfit(image, { keepsData: true });
  const before = await readFirstCluster(image);
  const { backingName } = image.header;
  const name = before.slice(backingName.at, backingName.at + backingName.bytes);
  const kept = image.extensions.map(rawExtension);
  const added = names === undefined ? [] : [{ type: EXTENSION_TYPE.featureNames, bytes: names }];
  const area = {
    extensions: [...kept, ...added],
    name: backingName.at === 0 ? undefined : { at: backingName.at, bytes: name },
  };
  const head = keptHead(image);
  const end = endOfExtensions(head.headerBytes, area.extensions);
  if (backingName.at !== 0 && end > backingName.at) return undefined;
  const after = withHead(before, head, area);
  if (after === undefined || hasSameBytes(after, before)) return undefined;
  return headerPlan(image, before, { after, leftOut: undefined }, 'complete the header');
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
