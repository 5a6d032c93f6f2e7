import { throwIfAborted } from '../../base/abort.js';
import { KiB, MiB } from '../../base/units.js';
import { isQsnapError, type QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { readAhead } from '../../io/read-ahead.js';
import type { GuestDisk } from '../guest/disk.js';
import type { DiskHash, HashDisksOptions, HashedDisk } from './hash-options.js';
import { Hashing } from './hashing.js';
import { loadedColumns } from './loaded-columns.js';
import { lostUnit, tableDisk, unitColumns, type TableDisk, type Unit } from './unit-columns.js';

/** What one unit has at least, unless many disks make it smaller. Ours. */
const UNIT_BYTES = 64 * KiB;
/** Distinct bytes of one guest offset, at most: bounds memory. Ours. */
const COLUMN_BYTES_MAX = 64 * MiB;
/**
 * Hashes the disks of an image in one pass over their guest offsets: what several disks share is read and unpacked once,
 * and hashed once as far as they are alike from their beginning, or from that of a piece.
 *
 * ```ts
 * const image = await openImage(device);
 * const disks = [{ snapshot: undefined, disk: await openGuestDisk(image) }];
 * const [active] = await hashDisks(image, disks, { newHasher: newSha256 });
 * console.log(active?.digest);
 * ```
 *
 * A disk that can't be read whole has an error in place of a hash; pieces before the damage are told.
 *
 * @param disks of this image, each with the snapshot that it is of.
 * @throws QsnapError IMAGE_CHANGED, ABORTED.
 */
export async function hashDisks(
  image: OpenImage,
  disks: readonly HashedDisk[],
  options: HashDisksOptions,
): Promise<readonly DiskHash[]> {
  const { signal, onProgress } = options;
  const results = new Results(disks.length);
  const live: { readonly index: number; readonly disk: GuestDisk; readonly tables: TableDisk }[] =
    [];
  for (const [index, { snapshot, disk }] of disks.entries()) {
    const tables = await results.unlessLost(index, () => tableDisk(image, snapshot));
    if (tables !== undefined) live.push({ index, disk, tables });
  }
  if (live.length === 0) return results.list;
  const sizes = live.map(({ tables }) => tables.sizeBytes);
  const totalBytes = Math.max(...sizes);
  const hashing = new Hashing(sizes, options);
  const unitBytes = unitBytesFor(image, live.length, options.pieceBytes);
  const columns = unitColumns(
    image,
    live.map(({ tables }) => tables),
    unitBytes,
  );
  const reading = loadedColumns(
    columns,
    live.map(({ disk }) => disk),
  );
  for await (const { columns: some, bytes, failed } of readAhead(reading)) {
    throwIfAborted(signal, 'the hashing');
    for (const column of some) {
      const errorOf = (unit: Unit): QsnapError | undefined =>
        unit.lost === undefined ? failed.get(unit) : lostUnit(unit);
      for (const [i, unit] of column.entries()) {
        const error = unit === undefined || hashing.isLost(i) ? undefined : errorOf(unit);
        if (error === undefined) continue;
        hashing.lose(i);
        results.fail(live[i]!.index, error);
      }
      hashing.update(column, bytes, ({ disk, ...piece }) => {
        options.onPiece?.({ disk: live[disk]!.index, ...piece });
      });
    }
    onProgress?.(hashing.doneBytes, totalBytes);
  }
  for (const [i, digest] of hashing.wholes()) results.hash(live[i]!.index, digest);
  return results.list;
}

/** What came of each disk. */
class Results {
  readonly list: DiskHash[];

  constructor(count: number) {
    this.list = Array.from({ length: count }, () => ({ digest: undefined, error: undefined }));
  }

  fail(index: number, error: QsnapError): void {
    this.list[index] = { digest: undefined, error };
  }

  hash(index: number, digest: string): void {
    this.list[index] = { digest, error: undefined };
  }

  async unlessLost<T>(index: number, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.fail(index, error);
      return undefined;
    }
  }
}

/** Whether an error is of a disk, and not of the whole work. */
function isLoss(error: unknown): error is QsnapError {
  return isQsnapError(error) && error.code !== 'ABORTED' && error.code !== 'IMAGE_CHANGED';
}

function unitBytesFor({ geometry }: OpenImage, disks: number, pieceBytes = Infinity): number {
  const wanted = Math.max(geometry.clusterBytes, UNIT_BYTES);
  const room = 2 ** Math.floor(Math.log2(COLUMN_BYTES_MAX / disks));
  return Math.max(512, Math.min(wanted, geometry.l2CoverageBytes, pieceBytes, room));
}
