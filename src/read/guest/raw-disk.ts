import { roundUp } from '../../base/units.js';
import type { BlockSource, ByteRange, ReadRequest } from '../../io/device.js';
import { stretchesOf } from '../../io/holes.js';
import type { Extent, GuestDisk } from './disk.js';
import { joinExtents } from './join-extents.js';
import type { LayerDisk } from './layer.js';

const SECTOR_BYTES = 512;

/** How a raw file is taken for a disk. */
export interface RawDiskOptions {
  /** Count in sectors, as QEMU does: the last one is filled up with zeros. */
  readonly tolerant?: boolean | undefined;
}

/**
 * A raw file as a disk. Its holes are `zero`; all else is `data`, written zeros included. If the system can't tell
 * where the holes are, but the file takes less room than it is long, aligned blocks of 4 KiB of zeros count as
 * holes.
 *
 * ```ts
 * const raw = await rawDisk(await openFile('disk.raw'));
 * const { same } = await compareDisks(disk.guest, raw);
 * ```
 *
 * @param source stays the caller's: closing the disk does not close it.
 * @throws QsnapError READ_FAILED.
 */
export async function rawDisk(
  source: BlockSource,
  options: RawDiskOptions = {},
): Promise<GuestDisk> {
  return openRawLayer(source, options);
}

/** `rawDisk` as a layer of a chain. */
export async function openRawLayer(
  source: BlockSource,
  { tolerant }: RawDiskOptions,
): Promise<LayerDisk> {
  const fileBytes = await source.sizeBytes();
  const diskBytes = tolerant === true ? roundUp(fileBytes, SECTOR_BYTES) : fileBytes;
  return new RawDisk(source, fileBytes, diskBytes);
}

class RawDisk implements LayerDisk {
  readonly label: string;
  readonly dataLabel: string;
  readonly externalData = false;
  readonly sources: readonly BlockSource[];
  readonly format = 'raw';
  readonly clusterBytes = 0;
  readonly l2EntryBytes = 0;
  readonly encrypted = false;
  readonly chain = [];
  readonly #source: BlockSource;
  readonly #fileBytes: number;
  readonly #diskBytes: number;

  constructor(source: BlockSource, fileBytes: number, diskBytes: number) {
    this.label = source.label;
    this.dataLabel = source.label;
    this.sources = [source];
    this.#source = source;
    this.#fileBytes = fileBytes;
    this.#diskBytes = diskBytes;
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#diskBytes);
  }

  readBatch(requests: readonly ReadRequest[]): Promise<void> {
    return this.#source.readBatch(requests);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  extents(from: number, to: number): AsyncIterable<readonly Extent[]> {
    return this.extentsIn([{ at: from, length: Math.max(0, to - from) }], 0);
  }

  extentsIn(ranges: readonly ByteRange[], depth: number): AsyncIterable<readonly Extent[]> {
    return joinExtents(this.#stretchesIn(ranges, depth));
  }

  async *#stretchesIn(
    ranges: readonly ByteRange[],
    depth: number,
  ): AsyncGenerator<readonly Extent[]> {
    for (const { at, length: wanted } of ranges) {
      const inFile = Math.min(at + wanted, this.#fileBytes) - at;
      for await (const stretches of stretchesOf(this.#source, at, inFile)) {
        yield stretches.map(({ at: start, length, isHole }) => {
          return { start, length, kind: isHole ? 'zero' : 'data', depth, at: start };
        });
      }
      const start = Math.max(at, this.#fileBytes);
      const length = Math.min(at + wanted, this.#diskBytes) - start;
      if (length > 0) yield [{ start, length, kind: 'zero', depth, at: start }];
    }
  }
}
