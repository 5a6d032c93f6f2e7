import { hasSameBytes } from '../../base/bytes.js';
import { printable } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { AUTOCLEAR, EXTENSION_TYPE, HEADER_V3 } from '../../qcow2/spec.js';
import { refuseUnfit } from '../plan/refuse.js';
import { rawExtension } from './header-area.js';
import { headerPlan, readFirstCluster, type HeaderPlan } from './header-plan.js';
import { keptHead, layHeader } from './lay-header.js';

const RAW = 1n << BigInt(AUTOCLEAR['raw external data']);

/** What an image is to say of its external data file; undefined: what it says now. */
export interface NewDataFile {
  /** As it is stored. */
  readonly name: Uint8Array | undefined;
  /** The file need no longer be a raw disk by itself. That it is one can't be said of it later. */
  readonly raw: false | undefined;
}

/**
 * Plans to record another name of the external data file, or that it need not stay a raw disk. Nothing is opened or moved.
 * As with a backing file, the first sector switches, and `planFeatureNames` puts back what was left out.
 *
 * @returns undefined where it is so already.
 * @throws QsnapError NAME_INVALID, LIMIT_EXCEEDED where the first sector has no room, EXTERNAL_DATA_FILE where the image has
 *   none, and what `planBacking` throws of the image.
 */
export async function planDataFile<Source extends BlockSource>(
  image: OpenImage<Source>,
  { name, raw }: NewDataFile,
): Promise<HeaderPlan<Source> | undefined> {
  refuseUnfit(image, { keepsData: true });
  const { header, extensions } = image;
  if (!header.externalDataFile) throw noDataFile();
  const stored = extensions.find(({ kind }) => kind === 'data-file-name')?.bytes;
  const isNamed = name === undefined || (stored !== undefined && hasSameBytes(name, stored));
  const staysRaw = raw === undefined || !header.rawExternalData;
  if (isNamed && staysRaw) return undefined;
  if (name !== undefined) refuseName(name);
  const before = await readFirstCluster(image);
  const { at, bytes } = header.backingName;
  const head = keptHead(image);
  const laid = layHeader(before, {
    ...head,
    autoclear: staysRaw ? head.autoclear : head.autoclear! & ~RAW,
    extensions: isNamed ? extensions.map(rawExtension) : renamed(image, name),
    name: at === 0 ? undefined : before.slice(at, at + bytes),
    nameAt: at,
  });
  const summary = isNamed
    ? 'let the data file be no raw disk'
    : `keep the data in the file "${printable(name)}"`;
  return headerPlan(image, before, laid, summary);
}

/** The extensions with another name, which lies where the old one lay. */
function renamed({ extensions }: OpenImage, name: Uint8Array) {
  const named = { type: EXTENSION_TYPE.dataFileName, bytes: name };
  const isThere = extensions.some(({ kind }) => kind === 'data-file-name');
  const kept = extensions.map((extension) => {
    return extension.kind === 'data-file-name' ? named : rawExtension(extension);
  });
  return isThere ? kept : [named, ...kept];
}

/** An image without a name is opened by nobody. */
function refuseName(name: Uint8Array): void {
  if (name.length > 0 && !name.includes(0)) return;
  throw new QsnapError('NAME_INVALID', 'this can be no name of a data file', {
    structure: 'header extensions',
    actual: name.length === 0 ? '0 bytes' : 'a zero byte in it',
    expected: 'at least one byte, none of them zero',
  });
}

function noDataFile(): QsnapError {
  return new QsnapError('EXTERNAL_DATA_FILE', 'the image has no external data file', {
    structure: 'header',
    at: HEADER_V3.incompatible.at,
    expected: 'an image with an external data file',
  });
}
