/** What is asked of an image as evidence: all that is stored in it, where things lie, dates, hashes, what is left over. */
import { DUMPED_BYTES_MAX } from '../../../src/read/dump/dumped.js';
import { LOCATED_OWNERS_MAX } from '../../../src/read/locate/locate-clusters.js';
import {
  ANOMALIES,
  dumpImage,
  findVmState,
  hashDisks,
  isQsnapError,
  locateClusters,
  locateGuest,
  openForDump,
  readPartitions,
  readTimeline,
  type BlockSource,
  type CheckReport,
  type GuestDisk,
  type HashedDisk,
  type OpenImage,
  type ReadableImage,
} from '../../../src/index.js';
import { compareDates } from '../../../src/internal.js';
import { newSha256 } from '../../../src/node/index.js';
import { copyWithoutData } from './evidence-copies.js';
import { scanForRemains } from './evidence-remains.js';
import { readVmStates } from './evidence-vm.js';
import type { Meter } from './meter.js';
import { isShort, judgeText, openDisk, someSnapshots } from './reads.js';
import { SpecimenDevice, type Specimen } from './specimen.js';

/** A specimen and what was made of it before. */
export interface Evidence {
  readonly specimen: Specimen;
  /** As far as it can be read. */
  readonly readable: ReadableImage | undefined;
  /** Only where all of it can be read. */
  readonly image: OpenImage | undefined;
  readonly check: CheckReport | undefined;
}

/** What of the whole file has to be passed over is only asked for of files without larger holes. */
const HOLE_BYTES = 2 ** 26;
/** A disk of which every byte is hashed. */
const HASHED_BYTES = 2 ** 22;
/** Fields that are told whatever a file is: of all snapshots that there may be, in a hole, a dozen each. */
const FIELDS_LEAST = 2 ** 20;

/** Uses each of the functions that read evidence, and judges what they tell. Nothing is written. */
export async function gatherEvidence(evidence: Evidence, meter: Meter): Promise<void> {
  const { specimen, readable, image } = evidence;
  const device = new SpecimenDevice(specimen);
  await dump(device, specimen, meter);
  if (readable !== undefined) {
    await locate(readable, meter);
    await tellDates(readable, meter);
    await tellPartitions(readable, meter);
    await readVmStates(readable, meter);
  }
  if (image !== undefined) {
    await meter.use('findVmState', () => findVmState(image));
    await hash(image, meter);
  }
  if (specimen.sizeBytes <= specimen.bytes.length + HOLE_BYTES) {
    await scanForRemains(device, specimen, meter);
    if (readable !== undefined) await copyWithoutData(evidence, readable, meter);
  }
  if (device.isWritten) meter.fault('evidence', 'something was written');
}

/** All fields; each entry by itself where the file is no longer than its bytes. */
async function dump(device: SpecimenDevice, specimen: Specimen, meter: Meter): Promise<void> {
  const { bytes, sizeBytes } = specimen;
  const image = await meter.use('openForDump', () => openForDump(device));
  if (image === undefined) {
    meter.fault('openForDump', 'any file can be opened');
    return;
  }
  const clusterBytes = image.geometry?.clusterBytes ?? 65_536;
  const clusters = [0, 1, 4, Math.floor(sizeBytes / clusterBytes), 2 ** 40];
  const every = sizeBytes === bytes.length && bytes.length <= 2 ** 16;
  let count = 0;
  await meter.use('dumpImage', async () => {
    for await (const fields of dumpImage(image, { clusters, every })) {
      count += fields.length;
      for (const field of fields) {
        const { structure, name, text, problem, value } = field;
        const words = [structure, name, text, problem?.expected ?? '', String(value ?? '')];
        // The value of a text is as it is stored.
        for (const word of words.slice(0, typeof value === 'string' ? -1 : undefined)) {
          judgeText('dump', word, meter);
        }
        const stored = bytes.subarray(field.at, field.at + field.bytes.length);
        const isThere =
          Buffer.compare(stored, field.bytes.subarray(0, stored.length)) === 0 &&
          field.bytes.subarray(stored.length).every((byte) => byte === 0);
        const isShown = field.bytes.length <= Math.min(field.length, DUMPED_BYTES_MAX);
        if (!isThere || !isShown) meter.fault('dump', `${structure} ${name} is not what is stored`);
      }
      if (count > FIELDS_LEAST + 16 * bytes.length) throw new Error(`${count} fields`);
    }
  });
}

/** Places at both ends of disks, behind them, and past all that a file can have. */
async function locate(image: ReadableImage, meter: Meter): Promise<void> {
  const { diskSizeBytes } = image.header;
  const disks = [undefined, ...someSnapshots(image)];
  const offsets = [0, 65_536, diskSizeBytes - 1, diskSizeBytes, 2 ** 52];
  for (const offset of offsets.filter((one) => one >= 0 && Number.isSafeInteger(one))) {
    for (const disk of disks) {
      const found = await meter.use('locateGuest', () => locateGuest(image, offset, [disk]));
      for (const { kind, l1, l2, hostOffset } of found ?? []) {
        judgeText('locateGuest', `${l1?.problem ?? ''}${l2?.problem ?? ''}`, meter);
        if (kind === 'data' && hostOffset === undefined) {
          meter.fault('locateGuest', `data at ${offset} lies nowhere`);
        }
      }
    }
  }
  const last = Math.floor(image.fileSizeBytes / image.geometry.clusterBytes);
  const clusters = [...new Set([0, 1, 4, 5, last, last + 7, 2 ** 40])];
  const found = await meter.use('locateClusters', () => locateClusters(image, clusters));
  for (const [i, one] of found?.entries() ?? []) {
    const { cluster, references, owners, ownersLeftOut } = one;
    const isCounted = references === owners.length + ownersLeftOut;
    if (cluster !== clusters[i] || !isCounted || owners.length > LOCATED_OWNERS_MAX) {
      meter.fault('locateClusters', `${references} references to cluster ${cluster}`);
    }
  }
}

async function tellDates(image: ReadableImage, meter: Meter): Promise<void> {
  const date = { seconds: 1_700_000_000, nanoseconds: 1 };
  const hostDates = { born: date, modified: date, changed: date };
  const found = await meter.use('readTimeline', () => readTimeline(image, { hostDates }));
  if (found === undefined) return;
  const { moments, anomalies, ancestryUnknown } = found;
  const isSorted = moments.every(
    (one, i) => i === 0 || compareDates(moments[i - 1]!.date, one.date) <= 0,
  );
  if (!isSorted || moments.length !== image.snapshots.length + 3) {
    meter.fault('readTimeline', `${moments.length} moments, in order: ${String(isSorted)}`);
  }
  const isKnown = anomalies.every(({ code, level }) => ANOMALIES[code].level === level);
  if (!isKnown) meter.fault('readTimeline', 'an anomaly that is not listed');
  judgeText('readTimeline', ancestryUnknown?.message ?? '', meter);
}

async function tellPartitions(image: ReadableImage, meter: Meter): Promise<void> {
  for (const snapshot of [undefined, ...someSnapshots(image)]) {
    const found = await meter.use('readPartitions', async () =>
      readPartitions(await openDisk(image, snapshot, false, () => undefined)),
    );
    for (const { number, start, length, type } of found?.partitions ?? []) {
      judgeText('readPartitions', type, meter);
      const isSound = number >= 1 && start >= 0 && length >= 0;
      if (!isSound) meter.fault('readPartitions', `partition ${number} at ${start} of ${length}`);
    }
  }
}

/** Hashes of short disks; each is that of the disk as it reads, or both fail. */
async function hash(image: OpenImage, meter: Meter): Promise<void> {
  const disks: HashedDisk[] = [];
  for (const snapshot of [undefined, ...someSnapshots(image)]) {
    const disk = await meter.use('open to hash', () => openDisk(image, snapshot));
    if (disk === undefined || (await disk.sizeBytes()) > HASHED_BYTES) continue;
    const isSoonRead = await meter.use('map to hash', () => isShort(image, disk));
    if (isSoonRead !== undefined) disks.push({ snapshot, disk });
  }
  const options = { newHasher: newSha256, pieceBytes: 65_536 };
  const found = await meter.use('hashDisks', () => hashDisks(image, disks, options));
  for (const [i, { digest, error }] of found?.entries() ?? []) {
    judgeText('hashDisks', error?.message ?? '', meter);
    await meter.use('read to hash', async () => {
      const read = await hashOf(disks[i]!.disk);
      if (read !== digest) meter.fault('hashDisks', `disk ${i}: ${digest ?? error?.code}, ${read}`);
    });
  }
}

/** The hash of all that a disk reads as, or the code of the error. */
async function hashOf(disk: BlockSource & GuestDisk): Promise<string | undefined> {
  const into = new Uint8Array(await disk.sizeBytes());
  try {
    await disk.readBatch([{ at: 0, into }]);
  } catch (error) {
    if (isQsnapError(error)) return undefined;
    throw error;
  }
  const hasher = newSha256();
  hasher.update(into);
  return hasher.digest();
}
