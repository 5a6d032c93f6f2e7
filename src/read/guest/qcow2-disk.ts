import { MiB } from '../../base/units.js';
import { dataFileName } from '../../image/image.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import { runInFlight } from '../../io/batch.js';
import type { BlockSource, ByteRange, ReadRequest } from '../../io/device.js';
import type { Extent, ExtentOptions } from './disk.js';
import { extentsOfLayer } from './extents.js';
import type { Layer, LayerDisk } from './layer.js';
import { mapPiece, piecesOf } from './table-pieces.js';
import { readSegments, type UnpackedCluster, type Wanted } from './read-segments.js';
import { SegmentList } from './segments.js';

/** Guest bytes that are read in one go. */
const WINDOW_BYTES = 4 * MiB;
/** Bounds what many small requests can make one go read: tables and packed clusters. */
const WINDOW_TABLE_BYTES = 32 * MiB;
const WINDOWS_IN_FLIGHT = 2;

/** The active disk of an image, or a snapshot's. */
export class Qcow2Disk implements LayerDisk {
  readonly label: string;
  readonly dataLabel: string;
  readonly externalData: boolean;
  readonly sources: readonly BlockSource[];
  readonly format = 'qcow2';
  readonly clusterBytes: number;
  readonly l2EntryBytes: 8 | 16;
  readonly encrypted: boolean;
  readonly chain: readonly LayerDisk[];
  readonly #layer: Layer;
  #unpacked: UnpackedCluster | undefined;

  constructor(layer: Layer) {
    const { image, data, backing } = layer;
    this.label = image.source.label;
    this.dataLabel = data?.label ?? dataFileName(image) ?? this.label;
    this.externalData = image.header.externalDataFile;
    this.sources = [...new Set([image.source, ...(data === undefined ? [] : [data])])];
    this.clusterBytes = image.geometry.clusterBytes;
    this.l2EntryBytes = image.geometry.l2EntryBytes;
    this.encrypted = image.header.encryption !== 'none';
    this.chain =
      backing.kind === 'open' ? [backing.disk, ...(backing.disk.chain as LayerDisk[])] : [];
    this.#layer = layer;
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#layer.diskSizeBytes);
  }

  async readBatch(requests: readonly ReadRequest[]): Promise<void> {
    refuseEdited(this.#layer.image);
    const windows = windowsOf(requests, this.#layer.diskSizeBytes, this.clusterBytes);
    await runInFlight(windows, WINDOWS_IN_FLIGHT, (window) => this.#readWindow(window));
  }

  async close(): Promise<void> {
    await this.#layer.close();
  }

  extents(from: number, to: number, options?: ExtentOptions): AsyncIterable<readonly Extent[]> {
    return this.extentsIn([{ at: from, length: Math.max(0, to - from) }], 0, options);
  }

  extentsIn(
    ranges: readonly ByteRange[],
    depth: number,
    options: ExtentOptions | undefined,
  ): AsyncIterable<readonly Extent[]> {
    refuseEdited(this.#layer.image);
    return extentsOfLayer(this.#layer, ranges, depth, options);
  }

  async #readWindow(requests: readonly ReadRequest[]): Promise<void> {
    const { tables, map, dataEnd, onLost } = this.#layer;
    const goesOn = onLost !== undefined;
    const pieces = requests.map(({ at, into }) => {
      return [...piecesOf([{ at, length: into.length }], tables, map.format.geometry, goesOn)];
    });
    const offsets = pieces.flat().flatMap(({ tableAt }) => (tableAt === 0 ? [] : [tableAt]));
    const loaded = await tables.load(new Set(offsets));
    const wanted: Wanted[] = [];
    for (const [i, { at, into }] of requests.entries()) {
      const segments = new SegmentList({ joinCompressed: false, dataEnd, goesOn });
      for (const piece of pieces[i]!) mapPiece(piece, loaded, map, segments, goesOn);
      for (const segment of segments.take(0)) {
        const from = segment.start - at;
        wanted.push({ segment, into: into.subarray(from, from + segment.length) });
      }
    }
    this.#unpacked = await readSegments(this.#layer, wanted, this.#unpacked);
  }
}

/** The requests in portions of bounded size. What lies past the end of the disk is zero at once. */
function windowsOf(
  requests: readonly ReadRequest[],
  diskSizeBytes: number,
  clusterBytes: number,
): ReadRequest[][] {
  const requestsMax = Math.max(1, WINDOW_TABLE_BYTES / clusterBytes);
  const windows: ReadRequest[][] = [];
  let open: ReadRequest[] = [];
  let bytes = 0;
  for (const { at, into } of requests) {
    const inside = Math.max(0, Math.min(into.length, diskSizeBytes - at));
    into.fill(0, inside);
    for (let from = 0; from < inside;) {
      if (bytes >= WINDOW_BYTES || open.length >= requestsMax) {
        windows.push(open);
        open = [];
        bytes = 0;
      }
      const to = Math.min(inside, from + WINDOW_BYTES - bytes);
      open.push({ at: at + from, into: into.subarray(from, to) });
      bytes += to - from;
      from = to;
    }
  }
  if (open.length > 0) windows.push(open);
  return windows;
}
