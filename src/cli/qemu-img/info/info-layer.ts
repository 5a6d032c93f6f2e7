/** What `info` tells of one image, before it is text or JSON. */
import { statSync } from 'node:fs';
import type { Image } from '../../../index.js';
import type { Behaviour } from '../version/behaviour.js';
import { byteString } from '../grammar/bytes.js';
import { jsonText, type Tree } from '../json.js';
import type { Opened, ReadableFile } from '../disks/opened.js';
import { qcow2Specific } from './qcow2-specific.js';
import { fullBackingName, type Target } from '../disks/target.js';

const SECTOR_BYTES = 512;

export interface Layer {
  readonly target: Target;
  /** What the image is called: a path, or options without which it can't be opened. */
  readonly name: string;
  /** Undefined for a raw disk. */
  readonly image: Image | undefined;
  /** What only its format has. */
  readonly specific: Tree | undefined;
  readonly virtualBytes: number;
  readonly allocatedBytes: number;
  readonly backing: BackingName | undefined;
  /** The file below the format, where the version tells of it. */
  readonly file: FileNode | undefined;
  /** How the format wants to be used, where somebody asked. */
  readonly limits: Tree | undefined;
}

/** The backing file's name, where it would be opened, and its format, as byte strings. */
export interface BackingName {
  readonly name: string;
  readonly full: string;
  readonly format: string | undefined;
}

interface FileNode {
  readonly protocol: 'file' | 'host_device';
  readonly bytes: number;
  readonly limits: Tree | undefined;
}

/** How a file is opened, as far as it shows. */
export interface LimitsRequest {
  /** Not through the host's page cache. */
  readonly direct: boolean;
}

export async function layerOf(
  opened: Opened<ReadableFile>,
  target: Target,
  { childNodes, detachedHeader }: Behaviour,
  limits: LimitsRequest | undefined,
): Promise<Layer> {
  const image = opened.kind === 'qcow2' ? opened.image : undefined;
  const fileBytes = await opened.file.sizeBytes();
  const roundedBytes = Math.ceil(fileBytes / SECTOR_BYTES) * SECTOR_BYTES;
  const isDevice = childNodes && statSync(target.path).isBlockDevice();
  const file: FileNode = {
    protocol: isDevice ? 'host_device' : 'file',
    bytes: roundedBytes,
    limits: limits && fileLimits(limits),
  };
  return {
    target,
    name: nameOf(target),
    image,
    specific:
      opened.kind === 'qcow2' ? await qcow2Specific(opened.image, detachedHeader) : undefined,
    // QEMU counts disks in sectors: it cuts what a qcow2 header has over, and rounds a file up.
    virtualBytes: image === undefined ? roundedBytes : wholeSectors(image.header.diskSizeBytes),
    allocatedBytes: await opened.file.allocatedBytes(),
    backing: image && backingOf(image, target),
    file: childNodes ? file : undefined,
    limits: limits && formatLimits(image, limits),
  };
}

/** QEMU: an image that was opened with a key has no path that would do. Members as its dictionaries have them. */
function nameOf({ shown, keySecret }: Target): string {
  if (keySecret === undefined) return shown;
  const [secret, filename] = [keySecret, shown].map((text) => jsonText(text));
  const file = `{"driver": "file", "filename": ${filename}}`;
  return `json:{"encrypt.key-secret": ${secret}, "driver": "qcow2", "file": ${file}}`;
}

const wholeSectors = (bytes: number): number => bytes - (bytes % SECTOR_BYTES);

function backingOf(image: Image, target: Target): BackingName | undefined {
  if (image.backingNameBytes === undefined) return undefined;
  const name = byteString(image.backingNameBytes).replace(/\0.*$/s, '');
  if (name === '') return undefined;
  const format = image.extensions.find(({ kind }) => kind === 'backing-format')?.bytes;
  return {
    name,
    full: fullBackingName(target.shown, name),
    format: format === undefined || format.length === 0 ? undefined : byteString(format),
  };
}

const PAGE_BYTES = 4096;
const MAX_VECTORS = 1024;
/** Of an extended L2 entry. */
const SUBCLUSTERS = 32;

/** Memory and vectors that any node takes on Linux, by what it may be asked for at least. */
const common = (
  requestBytes: number,
  { direct }: LimitsRequest,
): Readonly<Record<string, Tree>> => ({
  'request-alignment': requestBytes,
  'min-mem-alignment': direct ? SECTOR_BYTES : 1,
});

const ROOM = { 'opt-mem-alignment': PAGE_BYTES, 'max-iov': MAX_VECTORS } as const;

function fileLimits(request: LimitsRequest): Tree {
  return { ...common(request.direct ? SECTOR_BYTES : 1, request), ...ROOM };
}

/** Zeros go by subclusters, where there are any; encrypted disks by sectors. */
function formatLimits(image: Image | undefined, request: LimitsRequest): Tree {
  if (image === undefined) return { ...common(SECTOR_BYTES, request), ...ROOM };
  const { geometry, header } = image;
  const requestBytes = header.encryption === 'none' ? 1 : SECTOR_BYTES;
  return {
    'write-zeroes-alignment': geometry.clusterBytes / (header.extendedL2 ? SUBCLUSTERS : 1),
    ...common(requestBytes, request),
    'discard-alignment': geometry.clusterBytes,
    ...ROOM,
  };
}
