import { ThreadLost, type ThreadPool } from '../../pool/thread-pool.js';
import type { Database } from '../database/database.js';
import { failedRecord } from '../examine/failed-record.js';
import type { RangeResult } from '../examine/hash-range.js';
import type { HashedRange, HashLimits, ReadyDigests } from '../examine/pieces.js';
import type { ImageRecord } from '../examine/record.js';
import { policyFrom, type KeptPolicy } from '../places/kept-policy.js';
import type { ImageJob, Job, RangeJob } from '../queue/queue.js';

/** A job that was done, and what came of it. */
export type Finished =
  | { readonly job: ImageJob; readonly record: ImageRecord }
  | { readonly job: RangeJob; readonly range: RangeResult };

/** Whether an image was read, and read whole: not a range of one, nor a first look at one with large disks. */
export function isReading(
  finished: Finished,
): finished is Extract<Finished, { readonly record: ImageRecord }> {
  return 'record' in finished && finished.record.unhashed === undefined;
}

/** What jobs are done with. */
export interface Means {
  readonly database: Database;
  readonly pool: ThreadPool;
  readonly hashLimits: HashLimits;
  now(): Date;
  /** How fast a file of a store may be read; undefined: no limit. */
  bytesPerSecond(store: string): number | undefined;
  /** Asks the database, which may be away for a while. */
  readonly patiently: <T>(work: () => Promise<T>) => Promise<T>;
}

/** How the images of a place are read. */
interface PlaceRow {
  readonly policy: KeptPolicy;
  readonly hashes: boolean;
  readonly force_share: boolean;
}

/** A job, with how the place of its image wants it read. */
export interface TakenJob {
  readonly job: Job;
  /** Undefined where the image is in the catalogue no more. */
  readonly place: PlaceRow | undefined;
}

/** Asks how the images of jobs are read: once for all of them. */
export async function withPlaces(
  database: Database,
  jobs: readonly Job[],
): Promise<readonly TakenJob[]> {
  if (jobs.length === 0) return [];
  const { rows } = await database.query<PlaceRow & { readonly id: number }>(
    `select images.id, places.policy, places.hashes, places.force_share
    from qsnap.images join qsnap.places on places.location = images.place
    where images.id = any($1)`,
    [jobs.map(({ image }) => image)],
  );
  const byImage = new Map(rows.map((row) => [row.id, row]));
  return jobs.map((job) => ({ job, place: byImage.get(job.image) }));
}

/** Does a job in a thread; one that is lost with an image costs no other one. */
export async function doJob({ job, place }: TakenJob, means: Means): Promise<Finished> {
  return job.kind === 'image'
    ? { job, record: await examine(job, place, means) }
    : { job, range: await hash(job, place, means) };
}

/** A job that is given up. */
export function givenUp(job: Job): Finished {
  const record = failedRecord('GIVEN_UP', 'workers ended again and again while they read it');
  return job.kind === 'image' ? { job, record } : { job, range: { kind: 'failed', record } };
}

async function examine(
  job: ImageJob,
  place: PlaceRow | undefined,
  means: Means,
): Promise<ImageRecord> {
  const { database, pool, hashLimits, patiently } = means;
  if (place === undefined) return failedRecord('GIVEN_UP', 'it is in the catalogue no more');
  const ready = place.hashes ? await patiently(() => readyDigests(database, job)) : undefined;
  try {
    return await pool.run('examine', {
      location: job.location,
      options: {
        policy: policyFrom(place.policy),
        now: Math.floor(means.now().getTime() / 1000),
        forceShare: place.force_share,
        hash: place.hashes,
        hashLimits,
        ready,
        bytesPerSecond: means.bytesPerSecond(job.store),
      },
    });
  } catch (error) {
    return lostWith(error);
  }
}

async function hash(
  job: RangeJob,
  place: PlaceRow | undefined,
  means: Means,
): Promise<RangeResult> {
  const { database, pool, hashLimits, patiently } = means;
  if (place === undefined || !(await patiently(() => isWanted(database, job)))) {
    return { kind: 'stale' };
  }
  const { location, version, position, firstPiece, pieces } = job;
  try {
    return await pool.run('hash', {
      location,
      version,
      position,
      firstPiece,
      pieces,
      pieceBytes: hashLimits.pieceBytes,
      options: {
        forceShare: place.force_share,
        bytesPerSecond: means.bytesPerSecond(job.store),
      },
    });
  } catch (error) {
    return { kind: 'failed', record: lostWith(error) };
  }
}

/** @throws what is no fault of the image. */
function lostWith(error: unknown): ImageRecord {
  if (!(error instanceof ThreadLost) || error.reason === 'stopped') throw error;
  return failedRecord(error.reason === 'timeout' ? 'TIMED_OUT' : 'GIVEN_UP', error.message);
}

/** Whether anybody still wants the range: what others found of the image decides. */
async function isWanted(
  database: Database,
  { image, reading, version, position, firstPiece }: RangeJob,
): Promise<boolean> {
  const { rows } = await database.query(
    `select 1 from qsnap.hash_ranges join qsnap.images on images.id = image_id
    where image_id = $1 and position = $2 and first_piece = $3 and digests is null
      and reading = $4 and wanted = $4 and have < $4 and version = $5`,
    [image, position, firstPiece, reading, version],
  );
  return rows.length > 0;
}

/** What was read of the large disks of an image, once all of it was. */
async function readyDigests(
  database: Database,
  { image, reading }: ImageJob,
): Promise<ReadyDigests | undefined> {
  const { rows } = await database.query<
    Pick<HashedRange, 'position' | 'pieces'> & {
      readonly version: string;
      readonly first_piece: number;
      readonly digests: string | null;
    }
  >(
    `select version, position, first_piece, pieces, digests from qsnap.hash_ranges
    where image_id = $1 and reading = $2`,
    [image, reading],
  );
  if (rows.length === 0) return undefined;
  const ranges = rows.flatMap(({ position, first_piece: firstPiece, pieces, digests }) =>
    digests === null ? [] : [{ position, firstPiece, pieces, digests }],
  );
  return { version: rows[0]!.version, ranges };
}
