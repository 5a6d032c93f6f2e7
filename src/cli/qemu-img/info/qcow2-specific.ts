/** What qemu-img calls "Format specific information" of a qcow2 image. */
import type { OpenImage, PersistentBitmap } from '../../../index.js';
import { LUKS_HEADER_BYTES, parseLuksHeader, type LuksHeader } from '../../../internal.js';
import { byteString, byteStringOfText } from '../grammar/bytes.js';
import type { Tree } from '../json.js';

/**
 * Members in the order that QEMU's dictionaries have, as measured; version 2 has few.
 *
 * @param detachedHeader whether it is told that a LUKS header lies in the image itself.
 * @throws QsnapError EXTENSION_INVALID when the header of an encrypted image is no LUKS1 header.
 */
export async function qcow2Specific(image: OpenImage, detachedHeader: boolean): Promise<Tree> {
  const { header, geometry, bitmaps } = image;
  const compression = { 'compression-type': header.compressionType };
  const encrypt = await encryptionTree(image, detachedHeader);
  if (header.version === 2) {
    return {
      compat: '0.10',
      ...compression,
      'refcount-bits': geometry.refcountBits,
      ...(encrypt !== undefined && { encrypt }),
    };
  }
  const dataFile = image.extensions.find(({ kind }) => kind === 'data-file-name')?.bytes;
  return {
    compat: '1.1',
    ...compression,
    'lazy-refcounts': header.lazyRefcounts,
    ...(bitmaps.length > 0 && { bitmaps: bitmaps.map(bitmapTree) }),
    'refcount-bits': geometry.refcountBits,
    ...(dataFile !== undefined && { 'data-file': byteString(dataFile) }),
    ...(encrypt !== undefined && { encrypt }),
    ...(header.externalDataFile && { 'data-file-raw': header.rawExternalData }),
    corrupt: header.markedCorrupt,
    'extended-l2': header.extendedL2,
  };
}

function bitmapTree(bitmap: PersistentBitmap): Tree {
  return {
    flags: [...(bitmap.inUse ? ['in-use'] : []), ...(bitmap.auto ? ['auto'] : [])],
    name: byteString(bitmap.nameBytes),
    granularity: bitmap.granularityBytes,
  };
}

async function encryptionTree(
  image: OpenImage,
  detachedHeader: boolean,
): Promise<Tree | undefined> {
  if (image.header.encryption === 'none') return undefined;
  if (image.header.encryption === 'aes') return { format: 'aes' };
  const pointer = image.extensions.find((extension) => extension.kind === 'encryption-header');
  // There is nothing to say of its encryption.
  if (pointer === undefined) return { format: 'luks' };
  const bytes = new Uint8Array(LUKS_HEADER_BYTES);
  await image.source.readBatch([{ at: pointer.header.at, into: bytes }]);
  return luksTree(parseLuksHeader(bytes, pointer.header.at), detachedHeader);
}

function luksTree(luks: LuksHeader, detachedHeader: boolean): Tree {
  const { ivHash } = luks;
  return {
    'ivgen-alg': byteStringOfText(luks.ivGenerator),
    ...(detachedHeader && { 'detached-header': false }),
    'hash-alg': byteStringOfText(luks.hash),
    'cipher-alg': byteStringOfText(cipherAlgorithm(luks)),
    uuid: byteStringOfText(luks.uuid),
    ...(ivHash !== undefined && { 'ivgen-hash-alg': byteStringOfText(ivHash) }),
    format: 'luks',
    'cipher-mode': byteStringOfText(luks.cipherMode),
    slots: luks.slots.map(({ active, iterations, keyOffset, stripes }) => ({
      active,
      ...(active && { iters: iterations }),
      'key-offset': keyOffset,
      ...(active && { stripes }),
    })),
    'payload-offset': luks.payloadOffset,
    'master-key-iters': luks.masterKeyIterations,
  };
}

/** QEMU names a cipher with its key length; in XTS mode the key is two keys. */
function cipherAlgorithm(luks: LuksHeader): string {
  const keys = luks.cipherMode === 'xts' ? 2 : 1;
  return `${luks.cipherName}-${(luks.masterKeyBytes * 8) / keys}`;
}
