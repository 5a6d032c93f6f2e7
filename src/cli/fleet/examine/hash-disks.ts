import type { BlockSource, QcowImage } from '../../../index.js';
import { compositeDigest, digestOf } from './hash-pieces.js';
import { piecesPerJob, rangesToRead } from './plan-ranges.js';
import type { HashedRange, HashLimits, HashPlan, PieceRange, ReadyDigests } from './pieces.js';
import { openDisk, openToHash, unlessUnreadable } from './read-content.js';
import type { DiskRecord } from './record.js';

/** What disks are hashed with. */
export interface Hashing {
  readonly limits: HashLimits;
  /** The version of the image that is open, as every host tells it. */
  readonly version: string;
  /** What was read of large disks before. */
  readonly ready: ReadyDigests | undefined;
}

/** Disks with their hashes, or what has to be read first. */
export interface Hashed {
  readonly disks: readonly DiskRecord[];
  readonly unhashed: HashPlan | undefined;
}

/**
 * Adds the SHA-256 of what a guest would read of each disk, of a large one that of the SHA-256 of its pieces
 * (`compositeDigest`). A disk that leaves parts to another file, is encrypted or damaged has none. Large disks are for
 * others to read: as long as it is not done for this version of the image, nothing is hashed.
 *
 * @param source closed in the end.
 */
export async function hashDisks(
  source: BlockSource,
  disks: readonly DiskRecord[],
  { limits, version, ready }: Hashing,
): Promise<Hashed> {
  await using image = await openToHash(source);
  const large = disks.filter(({ virtualBytes }) => virtualBytes > limits.wholeBytes);
  const plans = await planDisks(image, large, limits);
  const ranges = [...plans.values()].flatMap((planned) => planned ?? []);
  const done = new Map(
    ready?.version === version ? ready.ranges.map((one) => [keyOf(one), one]) : [],
  );
  if (ranges.some((range) => !done.has(keyOf(range)))) {
    return { disks, unhashed: { version, ranges } };
  }
  const hashed: DiskRecord[] = [];
  for (const disk of disks) {
    const { position, virtualBytes } = disk;
    const contentSha256 =
      virtualBytes > limits.wholeBytes
        ? composed(virtualBytes, limits, plans.get(position), done)
        : await unlessUnreadable(async () => {
            await using opened = await openDisk(image, position);
            return await digestOf(opened);
          });
    hashed.push({ ...disk, contentSha256 });
  }
  return { disks: hashed, unhashed: undefined };
}

/** Of each disk the ranges that have to be read; undefined: nobody reads it here. */
async function planDisks(
  image: QcowImage,
  disks: readonly DiskRecord[],
  limits: HashLimits,
): Promise<ReadonlyMap<number, readonly PieceRange[] | undefined>> {
  const perJob = piecesPerJob(
    disks.map(({ virtualBytes }) => virtualBytes),
    limits,
  );
  const plans = new Map<number, readonly PieceRange[] | undefined>();
  for (const { position } of disks) {
    const ranges = await unlessUnreadable(async () => {
      await using disk = await openDisk(image, position);
      return await rangesToRead(disk, position, limits.pieceBytes, perJob);
    });
    plans.set(position, ranges);
  }
  return plans;
}

function composed(
  virtualBytes: number,
  { pieceBytes }: HashLimits,
  planned: readonly PieceRange[] | undefined,
  done: ReadonlyMap<string, HashedRange>,
): string | undefined {
  const ranges = planned?.map((range) => done.get(keyOf(range))!);
  if (ranges === undefined || ranges.some(({ digests }) => digests === '')) return undefined;
  return compositeDigest(virtualBytes, pieceBytes, ranges);
}

const keyOf = ({ position, firstPiece, pieces }: PieceRange): string =>
  `${position} ${firstPiece} ${pieces}`;
