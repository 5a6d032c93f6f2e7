import { hinted } from '../../base/hints.js';
import { printableText } from '../../base/text.js';
import { roundUp } from '../../base/units.js';
import { hex } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { dataFileName } from '../../image/image.js';
import type { ReadRequest } from '../../io/device.js';
import { settled } from '../../io/settled.js';
import { refusedBacking } from './backing.js';
import type { Layer } from './layer.js';
import { readAround } from './read-around.js';
import type { Segment } from './segments.js';

const SECTOR_BYTES = 512;

/** Where the bytes of a segment go. */
export interface Wanted {
  readonly segment: Segment;
  readonly into: Uint8Array;
}

/** An unpacked cluster that may be asked for again by the next read. */
export interface UnpackedCluster {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Whole sectors, and where in them the wanted bytes begin. */
interface EncryptedPart {
  readonly at: number;
  readonly guestAt: number;
  readonly sectors: Uint8Array;
  readonly firstSector: number;
  readonly from: number;
  readonly into: Uint8Array;
  /** Sectors that could not be read: they are zeros as they are. */
  readonly lost: Uint8Array[];
}

/** A read of guest data, and where the data is on the disk. */
interface DataRead extends ReadRequest {
  readonly guestAt: number;
  readonly lost?: Uint8Array[];
}

interface PackedCluster {
  readonly at: number;
  readonly packed: Uint8Array;
  readonly guestAt: number;
  readonly parts: { readonly from: number; readonly into: Uint8Array }[];
  /** Whether a part of it could not be read. */
  isLost: boolean;
}

/**
 * Fills all wanted parts: from the file, from the disk below, with zeros, or unpacked.
 *
 * @param known a cluster that was unpacked before.
 * @returns the last unpacked cluster of which only a part was wanted, else `known`.
 * @throws QsnapError BACKING_REFUSED, DATA_FILE_REFUSED, ENCRYPTED, UNSUPPORTED_COMPRESSION,
 *   CLUSTER_DATA_INVALID, READ_FAILED.
 */
export async function readSegments(
  layer: Layer,
  wanted: readonly Wanted[],
  known: UnpackedCluster | undefined,
): Promise<UnpackedCluster | undefined> {
  const reads: DataRead[] = [];
  const below: ReadRequest[] = [];
  const encrypted: EncryptedPart[] = [];
  const packed = new Map<number, PackedCluster>();
  const isPlain = layer.image.header.encryption === 'none';
  for (const { segment, into } of wanted) {
    if (segment.kind === 'zero') into.fill(0);
    else if (segment.kind === 'unreadable') {
      into.fill(0);
      layer.onLost!({ start: segment.start, length: segment.length, reason: segment.reason! });
    } else if (segment.kind === 'compressed') addPacked(layer, segment, into, known, packed);
    else if (segment.kind === 'unallocated') below.push({ at: segment.start, into });
    else if (isPlain) reads.push({ at: segment.at, into, guestAt: segment.start });
    else encrypted.push(encryptedPart(layer, segment, into));
  }
  const clusters = [...packed.values()];
  const sectors = encrypted.map(({ at, sectors: into, guestAt, lost }) => {
    return { at, into, guestAt, lost };
  });
  const begun = [];
  if (reads.length + sectors.length > 0) begun.push(readData(layer, [...reads, ...sectors]));
  if (below.length > 0) begun.push(readBelow(layer, below));
  if (clusters.length > 0) begun.push(readPacked(layer, clusters));
  // Nothing goes on into the caller's memory once one of them has failed.
  if (begun.length === 1) await begun[0];
  else await settled(begun);
  decrypt(layer, encrypted);
  return unpack(layer, clusters, known);
}

function encryptedPart(layer: Layer, segment: Segment, into: Uint8Array): EncryptedPart {
  const { numberedBy } = cipherOf(layer);
  const from = segment.at % SECTOR_BYTES;
  const isWhole = from === 0 && into.length % SECTOR_BYTES === 0;
  const bytes = roundUp(from + into.length, SECTOR_BYTES);
  return {
    at: segment.at - from,
    guestAt: segment.start - from,
    sectors: isWhole ? into : new Uint8Array(bytes),
    firstSector: Math.floor((numberedBy === 'guest' ? segment.start : segment.at) / SECTOR_BYTES),
    from,
    into,
    lost: [],
  };
}

function cipherOf(layer: Layer): NonNullable<Layer['cipher']> {
  if (layer.cipher !== undefined) return layer.cipher;
  throw new QsnapError('ENCRYPTED', 'the guest data is encrypted, and no passphrase was given', {
    file: layer.image.source.label,
    actual: layer.image.header.encryption,
    hint: 'give the passphrase that the image was made with',
  });
}

function decrypt(layer: Layer, parts: readonly EncryptedPart[]): void {
  for (const { sectors, firstSector, from, into, lost } of parts) {
    cipherOf(layer).decrypt(sectors, firstSector);
    for (const sector of lost) sector.fill(0);
    if (sectors !== into) into.set(sectors.subarray(from, from + into.length));
  }
}

async function readData(layer: Layer, reads: readonly DataRead[]): Promise<void> {
  if (layer.data === undefined) {
    const name = printableText(dataFileName(layer.image) ?? '');
    throw new QsnapError(
      'DATA_FILE_REFUSED',
      `the guest data lies in the data file "${name}", which was not opened`,
      {
        file: layer.image.source.label,
        hint: 'nothing that an image names is opened unless that is asked for',
      },
    );
  }
  const { data, onLost } = layer;
  if (onLost === undefined) {
    await data.readBatch(reads);
    return;
  }
  await readAround(data, reads, (index, from, length) => {
    const { guestAt, into, lost } = reads[index]!;
    lost?.push(into.subarray(from, from + length));
    onLost({ start: guestAt + from, length, reason: READ_ERROR });
  });
}

/** The reason of what the medium does not give. */
const READ_ERROR = 'read error';

async function readPacked(layer: Layer, clusters: readonly PackedCluster[]): Promise<void> {
  const { image, onLost } = layer;
  const reads = clusters.map(({ at, packed: into }) => ({ at, into }));
  if (onLost === undefined) await image.source.readBatch(reads);
  // Where a sector is missing, unpacking fails or the cluster is marked as lost.
  else await readAround(image.source, reads, (index) => (clusters[index]!.isLost = true));
}

async function readBelow(layer: Layer, reads: readonly ReadRequest[]): Promise<void> {
  if (layer.backing.kind === 'closed') throw refusedBacking(layer.image);
  if (layer.backing.kind === 'open') await layer.backing.disk.readBatch(reads);
  else for (const { into } of reads) into.fill(0);
}

function addPacked(
  layer: Layer,
  segment: Segment,
  into: Uint8Array,
  known: UnpackedCluster | undefined,
  clusters: Map<number, PackedCluster>,
): void {
  const { clusterBytes } = layer.image.geometry;
  const from = segment.start % clusterBytes;
  if (known?.at === segment.at) {
    into.set(known.bytes.subarray(from, from + into.length));
    return;
  }
  const same = clusters.get(segment.at);
  if (same !== undefined) {
    same.parts.push({ from, into });
    return;
  }
  clusters.set(segment.at, {
    at: segment.at,
    packed: new Uint8Array(packedBytesOf(layer, segment)),
    guestAt: segment.start - from,
    parts: [{ from, into }],
    isLost: false,
  });
}

/** Zeros behind the end of the file could be unpacked to something: they are not packed data. */
function packedBytesOf({ image, map }: Layer, { at, sectorBytes }: Segment): number {
  const bytes = sectorBytes - (at % SECTOR_BYTES);
  return map.tolerant ? bytes : Math.min(bytes, image.fileSizeBytes - at);
}

async function unpack(
  layer: Layer,
  clusters: readonly PackedCluster[],
  known: UnpackedCluster | undefined,
): Promise<UnpackedCluster | undefined> {
  if (clusters.length === 0) return known;
  const { header, geometry } = layer.image;
  const { clusterBytes } = geometry;
  if (layer.decompressor === undefined) {
    throw new QsnapError(
      'UNSUPPORTED_COMPRESSION',
      `clusters are compressed by ${header.compressionType}, and nothing here unpacks that`,
      {
        actual: header.compressionType,
        hint: 'give a decompressor: qsnap/node and qsnap/web have one',
      },
    );
  }
  const packed = clusters.map((cluster) => cluster.packed);
  const type = header.compressionType;
  const unpacked = await layer.decompressor.decompress(type, packed, clusterBytes);
  let last = known;
  for (const [i, { at, guestAt, parts, isLost }] of clusters.entries()) {
    const bytes = unpacked[i];
    if (isLost || bytes?.length !== clusterBytes) {
      const { onLost } = layer;
      if (onLost === undefined) throw invalidCluster(at, guestAt, clusterBytes, type);
      const reason = isLost ? READ_ERROR : 'the compressed cluster can not be unpacked';
      for (const { from, into } of parts) {
        into.fill(0);
        onLost({ start: guestAt + from, length: into.length, reason });
      }
      continue;
    }
    for (const { from, into } of parts) into.set(bytes.subarray(from, from + into.length));
    if (parts.some(({ into }) => into.length < clusterBytes)) last = { at, bytes };
  }
  return last;
}

function invalidCluster(
  at: number,
  guestAt: number,
  clusterBytes: number,
  type: string,
): QsnapError {
  return new QsnapError(
    'CLUSTER_DATA_INVALID',
    `the compressed cluster at ${hex(at)} can not be unpacked (guest offset ${hex(guestAt)})`,
    {
      structure: 'compressed cluster',
      at,
      expected: `${clusterBytes} bytes packed by ${type}`,
      ...hinted('map-disk'),
    },
  );
}
