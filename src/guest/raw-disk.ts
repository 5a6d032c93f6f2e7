import type { BlockSource, ByteRange, ReadRequest } from '../io/device.js';
import type { Extent, GuestDisk } from './disk.js';
import { allocationOf, stretchesByReading } from './holes.js';
import type { LayerDisk } from './layer.js';

/**
 * A raw file as a disk. What of a sparse file reads as zeros in aligned blocks of 4 KiB counts as
 * holes (`zero`); a file that is all there is all `data`.
 *
 * @param source stays the caller's: closing the disk does not close it.
 */
export async function rawDisk(source: BlockSource): Promise<GuestDisk> {
  return openRawLayer(source);
}

/** `rawDisk` as a layer of a chain. */
export async function openRawLayer(source: BlockSource): Promise<LayerDisk> {
  return new RawDisk(source, await source.sizeBytes());
}

class RawDisk implements LayerDisk {
  readonly label: string;
  readonly dataLabel: string;
  readonly format = 'raw';
  readonly clusterBytes = 0;
  readonly encrypted = false;
  readonly chain = [];
  readonly #source: BlockSource;
  readonly #sizeBytes: number;

  constructor(source: BlockSource, sizeBytes: number) {
    this.label = source.label;
    this.dataLabel = source.label;
    this.#source = source;
    this.#sizeBytes = sizeBytes;
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#sizeBytes);
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

  async *extentsIn(ranges: readonly ByteRange[], depth: number): AsyncGenerator<readonly Extent[]> {
    const allocation = await allocationOf(this.#source);
    for (const range of ranges) {
      const at = range.at;
      const end = Math.min(at + range.length, this.#sizeBytes);
      if (end > at && allocation === 'some') yield* this.#lookedAt(at, end - at, depth);
      else if (end > at) {
        const kind = allocation === 'all' ? 'data' : 'zero';
        yield [{ start: at, length: end - at, kind, depth, at }];
      }
    }
  }

  async *#lookedAt(at: number, length: number, depth: number): AsyncGenerator<readonly Extent[]> {
    let open: Extent | undefined;
    for await (const stretches of stretchesByReading(this.#source, at, length)) {
      const done: Extent[] = [];
      for (const { at: start, length: bytes, isHole } of stretches) {
        const kind = isHole ? 'zero' : 'data';
        if (open?.kind === kind) open = { ...open, length: open.length + bytes };
        else {
          if (open !== undefined) done.push(open);
          open = { start, length: bytes, kind, depth, at: start };
        }
      }
      if (done.length > 0) yield done;
    }
    if (open !== undefined) yield [open];
  }
}
