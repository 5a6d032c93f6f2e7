import { backingFormat, backingName, dataFileName, type Image } from '../../../index.js';
import { hexOfBytes } from '../../../internal.js';
import { hexText } from '../../text.js';
import { isUtf8 } from './bytes.js';
import { extensionTitle } from './extensions.js';
import { featureNames } from './features.js';
import { snapshotJson } from './snapshot-json.js';

/** What an image says of itself, for programs: QEMU's keys first. docs/schema/info.json. */
export function infoJson(
  image: Image,
  allocatedBytes: number | undefined,
): Record<string, unknown> {
  const { header, geometry } = image;
  const backing = backingName(image);
  const format = backingFormat(image);
  const backingIsOdd = image.backingNameBytes !== undefined && !isUtf8(image.backingNameBytes);
  return {
    format: 'qcow2',
    'virtual-size': header.diskSizeBytes,
    ...(allocatedBytes !== undefined && { 'actual-size': allocatedBytes }),
    'cluster-size': geometry.clusterBytes,
    'dirty-flag': header.dirty,
    ...(header.encryption !== 'none' && { encrypted: true }),
    ...(backing !== undefined && { 'backing-filename': backing }),
    ...(backingIsOdd && { 'backing-filename-bytes': hexOfBytes(image.backingNameBytes) }),
    ...(format !== undefined && { 'backing-filename-format': format }),
    ...(image.snapshots.length > 0 && {
      snapshots: image.snapshots.map((snapshot) => snapshotJson(snapshot, undefined)),
    }),
    'format-specific': { type: 'qcow2', data: formatSpecific(image) },
    'file-size': image.fileSizeBytes,
    version: header.version,
    'header-length': header.headerBytes,
    'l1-offset': header.activeL1.at,
    'l1-entries': header.activeL1.entries,
    'refcount-table-offset': header.refcountTable.at,
    'refcount-table-clusters': header.refcountTable.clusters,
    'snapshot-table-offset': header.snapshotTable.at,
    'snapshot-table-size': image.snapshotTableBytes,
    features: {
      incompatible: featureNames(image, 'incompatible'),
      compatible: featureNames(image, 'compatible'),
      autoclear: featureNames(image, 'autoclear'),
    },
    extensions: image.extensions.map((extension) => ({
      name: extensionTitle(extension),
      offset: extension.at,
      length: extension.bytes.length,
      ...(extension.kind === 'unknown' && {
        type: hexText(extension.type),
        data: hexOfBytes(extension.bytes),
      }),
    })),
  };
}

/** QEMU's ImageInfoSpecificQCow2, as far as the header and the bitmap directory tell. */
function formatSpecific(image: Image): Record<string, unknown> {
  const { header, geometry, bitmaps } = image;
  if (header.version === 2) {
    return {
      compat: '0.10',
      'compression-type': header.compressionType,
      'refcount-bits': geometry.refcountBits,
      ...encryptJson(image),
    };
  }
  const dataFile = dataFileName(image);
  return {
    compat: '1.1',
    'compression-type': header.compressionType,
    'lazy-refcounts': header.lazyRefcounts,
    'refcount-bits': geometry.refcountBits,
    corrupt: header.markedCorrupt,
    'extended-l2': header.extendedL2,
    ...(bitmaps.length > 0 && {
      bitmaps: bitmaps.map((bitmap) => ({
        name: bitmap.name,
        ...(!isUtf8(bitmap.nameBytes) && { 'name-bytes': hexOfBytes(bitmap.nameBytes) }),
        granularity: bitmap.granularityBytes,
        flags: [...(bitmap.inUse ? ['in-use'] : []), ...(bitmap.auto ? ['auto'] : [])],
      })),
    }),
    ...(dataFile !== undefined && { 'data-file': dataFile }),
    ...(header.externalDataFile && { 'data-file-raw': header.rawExternalData }),
    ...encryptJson(image),
  };
}

function encryptJson(image: Image): Record<string, unknown> {
  const { encryption } = image.header;
  return encryption === 'none' ? {} : { encrypt: { format: encryption } };
}
