import type { WriteRequest } from '../../io/device.js';
import type { Geometry } from '../../qcow2/geometry.js';
import type { CreateImageOptions } from './create-options.js';
import { zerosAt } from './guest-pieces.js';
import type { HostClusters } from './host-clusters.js';
import { dataRequest } from './with-data-file.js';

/**
 * Where the guest clusters of an image go that is being made, one L2 table after the other: to the next
 * place in the file, to one that their whole table has taken, or to their place in an external data file.
 */
export class TablePlaces {
  readonly isExternal: boolean;
  /** Every guest cluster has its place, whether it is written or not. */
  readonly mapsAll: boolean;
  /** Entries have no way to say zeros and keep their place, or a raw data file has to read so, too. */
  readonly zerosAreData: boolean;
  readonly #isFilled: boolean;
  readonly #clusters: HostClusters;
  readonly #geometry: Geometry;
  readonly #unitBytes: number;
  readonly #diskBytes: number;
  /** Of the current table: where its first guest cluster lies; undefined where each takes its own place. */
  #host: number | undefined;
  /** Bytes from there: how many clusters have, and up to where they are written. */
  #allBytes = 0;
  #filledTo = 0;

  /** @param how.hasHoles whether what is not written reads as zeros. */
  constructor(
    clusters: HostClusters,
    geometry: Geometry,
    options: CreateImageOptions,
    how: { readonly hasHoles: boolean; readonly unitBytes: number },
  ) {
    const { dataFile, preallocation = 'off', extendedL2, encryption } = options;
    this.isExternal = dataFile !== undefined;
    this.mapsAll = preallocation !== 'off' || dataFile?.raw === true;
    this.zerosAreData = this.mapsAll && (this.isExternal || !extendedL2);
    const isWhole = preallocation === 'falloc' || preallocation === 'full';
    // An encrypted disk does not read as zeros where the medium has them.
    const isFilled = isWhole || !how.hasHoles || encryption !== undefined;
    const isOwn = !this.isExternal || encryption !== undefined;
    this.#isFilled = this.mapsAll && isOwn && isFilled;
    this.#clusters = clusters;
    this.#geometry = geometry;
    this.#unitBytes = how.unitBytes;
    this.#diskBytes = options.diskSizeBytes;
  }

  /** Sends a write of guest data where guest data goes. */
  readonly guest = (request: WriteRequest): WriteRequest => {
    return this.isExternal ? dataRequest(request) : request;
  };

  /** Begins an L2 table. Returns how many clusters of the disk it maps. */
  begin(l1Index: number): number {
    const { clusterBytes, l2CoverageBytes } = this.#geometry;
    const from = l1Index * l2CoverageBytes;
    const bytes = Math.min(l2CoverageBytes, this.#diskBytes - from);
    const clusters = Math.ceil(bytes / clusterBytes);
    if (this.isExternal) this.#host = from;
    else if (this.mapsAll) this.#host = this.#clusters.append(clusters);
    this.#allBytes = clusters * clusterBytes;
    this.#filledTo = 0;
    return clusters;
  }

  /** Where a guest cluster of the table has its place; undefined: it takes the next one. */
  hostOf(cluster: number): number | undefined {
    return this.#host === undefined
      ? undefined
      : this.#host + cluster * this.#geometry.clusterBytes;
  }

  /** Zeros before a write, where the medium shall have all bytes. */
  *filled(from: number, bytes: number): Generator<WriteRequest> {
    if (!this.#isFilled) return;
    yield* zerosAt(this.#host! + this.#filledTo, this.#host! + from);
    // What is written is filled up to the end of its unit.
    this.#filledTo = Math.ceil((from + bytes) / this.#unitBytes) * this.#unitBytes;
  }

  /** Zeros behind the last write to the table. */
  *filledToEnd(): Generator<WriteRequest> {
    yield* this.filled(this.#allBytes, 0);
  }
}
