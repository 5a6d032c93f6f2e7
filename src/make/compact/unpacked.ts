import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { Decompressor } from '../../read/guest/platform.js';
import type { SourceTables } from './source-tables.js';
import type { StepItem } from './steps.js';

/**
 * Unpacks compressed clusters of an image. What a number stands for is the caller's affair.
 *
 * @returns the clusters under the same numbers; undefined for what can't be unpacked.
 * @throws QsnapError UNSUPPORTED_COMPRESSION.
 */
export async function unpack(
  { header, geometry }: OpenImage,
  packed: ReadonlyMap<number, Uint8Array>,
  decompressor: Decompressor | undefined,
): Promise<ReadonlyMap<number, Uint8Array | undefined>> {
  if (packed.size === 0) return new Map();
  const { compressionType } = header;
  if (decompressor === undefined) {
    throw new QsnapError(
      'UNSUPPORTED_COMPRESSION',
      `clusters are compressed by ${compressionType}, and nothing here unpacks that`,
      {
        actual: compressionType,
        hint: 'give a decompressor: qsnap/node and qsnap/web have one',
      },
    );
  }
  const { clusterBytes } = geometry;
  const streams = [...packed.values()];
  const contents = await decompressor.decompress(compressionType, streams, clusterBytes);
  return new Map([...packed.keys()].map((number, i) => [number, contents[i]]));
}

/**
 * The content of the compressed clusters among the items, by their index.
 *
 * @param at host offsets by index.
 * @throws QsnapError UNSUPPORTED_COMPRESSION, CLUSTER_DATA_INVALID.
 */
export async function unpackedOf(
  { image }: SourceTables,
  items: readonly StepItem[],
  at: Float64Array,
  decompressor: Decompressor | undefined,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const packed = new Map<number, Uint8Array>();
  for (const item of items) if (item.kind === 'packed') packed.set(item.index, item.bytes);
  const unpacked = new Map<number, Uint8Array>();
  for (const [index, bytes] of await unpack(image, packed, decompressor)) {
    if (bytes === undefined) throw notUnpacked(image, at[index]!);
    unpacked.set(index, bytes);
  }
  return unpacked;
}

/** The error for a compressed cluster whose stream is damaged. */
export function notUnpacked({ header, geometry, source }: OpenImage, at: number): QsnapError {
  return new QsnapError('CLUSTER_DATA_INVALID', 'a compressed cluster can not be unpacked', {
    structure: 'compressed cluster',
    at,
    file: source.label,
    expected: `${geometry.clusterBytes} bytes packed by ${header.compressionType}`,
  });
}
