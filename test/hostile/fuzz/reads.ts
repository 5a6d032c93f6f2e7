/** Everything that reads an image, as a user would ask for it. */
import {
  backingFormat,
  backingName,
  checkImage,
  compareDisks,
  computeUnsavedChanges,
  copyDisk,
  dataFileName,
  isQsnapError,
  measureQcow2,
  newQcow2Writer,
  openForReading,
  openGuestDisk,
  openImage,
  snapshotsEqualToActive,
  type CheckReport,
  type Cryptography,
  type GuestDisk,
  type Image,
  type OpenImage,
  type Loss,
  type ReadableImage,
  type Snapshot,
} from '../../../src/index.js';
import {
  describeSnapshot,
  hexOfBytes,
  LossList,
  measureBitmaps,
  measuredDataBytes,
  printableText,
} from '../../../src/internal.js';
import {
  equalBytes,
  newSha256,
  nodeCryptography,
  nodeDecompressor,
} from '../../../src/node/index.js';
import { openForCheck } from '../../../src/image/open-for-check.js';
import type { Meter } from './meter.js';
import { SpecimenDevice, specimenOf, type Specimen } from './specimen.js';

/** What a terminal obeys, or what changes how a line reads. */
export const RAW = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const MiB = 2 ** 20;
/** Guest data that is read from the beginning and before the end of each disk. */
const READ_BYTES = MiB;
/** L2 tables that a walk over a whole disk passes: claimed disks may have millions. */
const L2_VISITS = 512;
const SNAPSHOTS = 3;
/** The passphrase of the encrypted fixtures. */
const PASSPHRASE = new TextEncoder().encode('open sesame');

/** What a disk holds as far as it was read, or the code of the error that reading it gave. */
export type Content = string;

/** The first and the last snapshot, and one between. */
export function someSnapshots({ snapshots }: Image): readonly Snapshot[] {
  if (snapshots.length <= SNAPSHOTS) return snapshots;
  return [snapshots[0]!, snapshots[1]!, snapshots.at(-1)!];
}

/** Rounds of a key derivation that are made; more would take the time of many inputs. */
const ROUNDS = 5_000;
const derived = new Map<string, Promise<Uint8Array>>();

/** Node's, with keys that were derived once kept, and new ones derived in few rounds. */
function cheapCryptography(): Cryptography {
  const node = nodeCryptography();
  return {
    ...node,
    pbkdf2: (hash, passphrase, salt, iterations, bytes) => {
      const key = [hash, hexOfBytes(salt), iterations, bytes].join(' ');
      const known = derived.get(key);
      if (known !== undefined) return known;
      // The fixture's own two derivations are made in full: what they open is to be read, too.
      const rounds = derived.size < 2 ? iterations : Math.min(iterations, ROUNDS);
      const made = node.pbkdf2(hash, passphrase, salt, rounds, bytes);
      derived.set(key, made);
      return made;
    },
  };
}

export async function openDisk(
  image: OpenImage,
  snapshot: Snapshot | undefined,
  tolerant = false,
  onLost?: (loss: Loss) => void,
): Promise<GuestDisk> {
  const encrypted = image.header.encryption !== 'none';
  return openGuestDisk(image, {
    snapshot,
    tolerant,
    ...(onLost !== undefined && { onLost, unreadableExtents: true }),
    decompressor: nodeDecompressor(),
    ...(encrypted && { cryptography: cheapCryptography(), passphrase: PASSPHRASE }),
  });
}

/** The part of a disk that is walked over: all of it, unless it claims to be very large. */
export async function walkedBytes(image: Image, disk: GuestDisk): Promise<number> {
  const { l2CoverageBytes } = image.geometry;
  return Math.min(await disk.sizeBytes(), L2_VISITS * l2CoverageBytes);
}

/** Size and hash of what a disk holds at both of its ends. Tells backing files' part apart. */
export async function contentOf(disk: GuestDisk): Promise<Content> {
  const size = await disk.sizeBytes();
  const hasher = newSha256();
  for (const from of new Set([0, Math.max(0, size - READ_BYTES / 8)])) {
    const into = new Uint8Array(Math.min(from === 0 ? READ_BYTES : READ_BYTES / 8, size - from));
    await disk.readBatch([{ at: from, into }]);
    hasher.update(into);
  }
  return `${size} ${hasher.digest()}`;
}

export interface ReadResults {
  readonly image: OpenImage | undefined;
  /** The image as far as it can be read. */
  readonly readable: ReadableImage | undefined;
  readonly check: CheckReport | undefined;
}

/** Opens the specimen, lists it, checks it, maps it, reads, compares, measures and exports it. */
export async function readEverything(specimen: Specimen, meter: Meter): Promise<ReadResults> {
  const device = new SpecimenDevice(specimen);
  await meter.use('openForCheck', () => openForCheck(device));
  const check = await meter.use('check', () => checkImage(device));
  for (const { message, advice, consequence } of check?.findings.slice(0, 50) ?? []) {
    for (const text of [message, advice, consequence]) judgeText('finding', text, meter);
  }
  const readable = await meter.use('openForReading', () => openForReading(device));
  if (readable !== undefined) await salvageDisks(readable, meter);
  const image = await meter.use('open', () => openImage(device));
  if (image === undefined) return { image, readable, check };
  tell(image, meter);
  await meter.use('snapshotsEqualToActive', () => snapshotsEqualToActive(image));
  await meter.use('computeUnsavedChanges', () => computeUnsavedChanges(image));
  await readDisks(image, meter);
  await measure(image, meter);
  if (device.isWritten) meter.fault('reads', 'something was written');
  return { image, readable, check };
}

export function judgeText(name: string, text: string, meter: Meter): void {
  if (RAW.test(text)) meter.fault(name, `prints raw ${JSON.stringify(text)}`);
}

/** What is said of an image and its snapshots to people. */
function tell(image: Image, meter: Meter): void {
  for (const snapshot of image.snapshots.slice(0, 100)) {
    judgeText('describeSnapshot', describeSnapshot(snapshot), meter);
  }
  for (const text of [backingName(image), backingFormat(image), dataFileName(image)]) {
    judgeText('names', printableText(text ?? ''), meter);
  }
}

async function readDisks(image: OpenImage, meter: Meter): Promise<void> {
  const opened: GuestDisk[] = [];
  for (const snapshot of [undefined, ...someSnapshots(image)]) {
    for (const tolerant of [false, true]) {
      const name = snapshot === undefined ? 'disk' : `snapshot ${snapshot.index}`;
      const disk = await meter.use(`open ${name}`, () => openDisk(image, snapshot, tolerant));
      if (disk === undefined) continue;
      if (!tolerant) opened.push(disk);
      await meter.use(`map ${name}`, () => mapOf(image, disk));
      await meter.use(`read ${name}`, () => contentOf(disk));
    }
  }
  await meter.use('export', () => exported(image, opened[0]));
  await meter.use('compare', () => compared(image, opened));
}

/** What can be read of it, past all damage: a disk that opens is then mapped and read to its end. */
async function salvageDisks(image: ReadableImage, meter: Meter): Promise<void> {
  for (const { reason } of image.unread.slice(0, 50)) judgeText('unread', reason.message, meter);
  for (const snapshot of [undefined, ...someSnapshots(image)]) {
    const losses = new LossList();
    const disk = await meter.use('open to salvage', () => {
      return openDisk(image, snapshot, false, (loss) => {
        losses.add(loss);
      });
    });
    if (disk === undefined) continue;
    await meter.use('salvaged map', async () => {
      await withoutDamage(() => mapOf(image, disk));
    });
    await meter.use('salvaged read', async () => {
      await withoutDamage(() => contentOf(disk));
    });
    for (const { reason } of losses.sorted().slice(0, 50)) judgeText('loss', reason, meter);
  }
}

/** No damage of the image is an error for who goes on past damage. */
async function withoutDamage(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isQsnapError(error) && error.kind === 'image' && error.code !== 'LIMIT_EXCEEDED') {
      throw new Error(`damage ended a salvage: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Extents must cover the disk, in order and without gaps; the bytes of them that hold data. */
async function mapOf(image: Image, disk: GuestDisk): Promise<number> {
  const to = await walkedBytes(image, disk);
  let [at, dataBytes] = [0, 0];
  for await (const extents of disk.extents(0, to)) {
    for (const { start, length, kind } of extents) {
      if (start !== at || length <= 0) throw new Error(`an extent at ${start}, expected ${at}`);
      at += length;
      if (kind === 'data' || kind === 'compressed') dataBytes += length;
    }
  }
  if (at !== to) throw new Error(`the extents end at ${at} of ${to}`);
  return dataBytes;
}

/** Only disks of which a walk sees all, and with data that is soon copied. */
export async function isShort(image: Image, disk: GuestDisk): Promise<boolean> {
  const size = await disk.sizeBytes();
  if (size > (await walkedBytes(image, disk))) return false;
  return (await mapOf(image, disk)) <= 4 * READ_BYTES;
}

async function exported(image: Image, disk: GuestDisk | undefined): Promise<void> {
  if (disk === undefined || !(await isShort(image, disk))) return;
  const output = new SpecimenDevice(specimenOf(new Uint8Array(0)));
  const writer = await newQcow2Writer(output, {
    diskSizeBytes: await disk.sizeBytes(),
    version: 3,
    clusterBytes: 65_536,
    refcountBits: 16,
    extendedL2: false,
    lazyRefcounts: false,
    compressionType: 'zlib',
  });
  await copyDisk(disk, writer);
  await writer.finish();
  const copy = await openImage(output);
  const [before, after] = [await contentOf(disk), await contentOf(await openDisk(copy, undefined))];
  if (before !== after) throw new Error('the export holds something else');
  const { totals } = await checkImage(output);
  if (totals.corruptions + totals.leaks + totals.checkErrors > 0) {
    throw new Error(`the export is not sound: ${JSON.stringify(totals)}`);
  }
}

async function compared(image: Image, disks: readonly GuestDisk[]): Promise<void> {
  const [a, b] = [disks[0], disks.at(-1)];
  if (a === undefined || b === undefined) return;
  if (!(await isShort(image, a)) || !(await isShort(image, b))) return;
  const shared = await compareDisks(a, b, { sameImage: true, isEqual: equalBytes });
  const bytewise = await compareDisks(a, b);
  if (shared.same !== bytewise.same || shared.differentBytes !== bytewise.differentBytes) {
    throw new Error('a comparison by place differs from one by bytes');
  }
}

async function measure(image: OpenImage, meter: Meter): Promise<void> {
  const { clusterBytes } = image.geometry;
  const { diskSizeBytes } = image.header;
  await meter.use('measure', async () => {
    const disk = await openDisk(image, undefined, true);
    const extents = disk.extents(0, await walkedBytes(image, disk));
    const dataBytes = await measuredDataBytes(extents, clusterBytes);
    measureBitmaps(image.bitmaps, diskSizeBytes, clusterBytes);
    const options = { clusterBytes, refcountBits: 16, extendedL2: false } as const;
    measureQcow2(diskSizeBytes, dataBytes, { ...options, preallocation: 'off' });
  });
}
