import { throwIfAborted } from '../base/abort.js';
import { isQsnapError } from '../errors.js';
import { completeHeader } from '../edit/header/set-backing.js';
import { editWithinRoom } from '../edit/plan/within-room.js';
import { executePlan } from '../edit/tx/execute.js';
import { besideEdit } from '../edit/write/beside-edit.js';
import type { DiskChange } from '../edit/write/disk-change.js';
import { planWrite } from '../edit/write/plan-write.js';
import { openImage } from '../image/open.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import type { GuestDisk } from '../read/guest/disk.js';
import { openGuestDisk, type GuestDiskOptions } from '../read/guest/open-guest-disk.js';
import { unlock } from '../read/guest/unlock.js';
import type { OpenImage } from '../image/image.js';
import type { Encryption } from '../edit/plan/next-state.js';
import { firstPortion, joined, type Changes } from './changes.js';

/** What is to be written into an image, told anew for each portion. */
export interface Writing {
  /**
   * The changes from a guest offset on.
   *
   * @param disk the image's active disk as it is now.
   */
  readonly changesFrom: (disk: GuestDisk, from: number) => Changes;
  /** Has the new bytes at their guest offsets; undefined: what changes reads as the disk does now. */
  readonly content?: BlockSource | undefined;
  /** Zeros have to be told even where nothing is below: the image is going to get a backing file. */
  readonly getsBacking?: boolean | undefined;
}

/** How an image is opened and written. */
export interface WriteOptions {
  /** What reads the image: gate, codecs, passphrase. */
  readonly disk: Omit<GuestDiskOptions, 'snapshot'>;
  /** Told of guest bytes up to which all is written. */
  readonly onProgress?: ((doneTo: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Clusters that one switch changes at most (default 131,072): what is known of each lies in memory. */
  readonly clustersAtOnce?: number | undefined;
}

/** What was written. */
export interface WriteReport {
  /** Guest bytes that became data, and zeros. */
  readonly dataBytes: number;
  readonly zeroBytes: number;
  /** How many switches it took; after each the image is whole. */
  readonly switches: number;
}

const CLUSTERS_MAX = 131_072;
/** Where the medium has no room for so many, fewer are tried, down to this. */
const CLUSTERS_MIN = 64;

/**
 * Writes changes into the active disk of an image: all at once, or in portions where they are very many or where the
 * medium has no room for all of them beside the old ones. After each portion the image is whole and has what was written
 * so far; the same changes may be written again.
 *
 * @throws QsnapError what `planWrite`, `openGuestDisk` and `executePlan` throw.
 */
export async function writeImage(
  device: BlockDevice,
  writing: Writing,
  options: WriteOptions,
): Promise<WriteReport> {
  const { signal, onProgress, clustersAtOnce = CLUSTERS_MAX } = options;
  const report = { dataBytes: 0, zeroBytes: 0, switches: 0 };
  let most = clustersAtOnce;
  for (let from = 0; ;) {
    throwIfAborted(signal, 'the writing');
    try {
      const written = await writePortion(device, writing, from, most, options);
      const last = written.at(-1);
      if (last === undefined) return report;
      report.switches += 1;
      for (const { length, kind } of written) {
        report[kind === 'data' ? 'dataBytes' : 'zeroBytes'] += length;
      }
      from = last.at + last.length;
      onProgress?.(from);
    } catch (error) {
      if (!isQsnapError(error) || error.code !== 'NO_SPACE' || most <= CLUSTERS_MIN) throw error;
      most = Math.max(CLUSTERS_MIN, most / 4);
    }
  }
}

/** Writes the first changes from an offset on. @returns them; none: nothing is left to do. */
function writePortion(
  device: BlockDevice,
  { changesFrom, content, getsBacking }: Writing,
  from: number,
  most: number,
  { disk: how, signal }: WriteOptions,
): Promise<readonly DiskChange[]> {
  return editWithinRoom(
    device,
    async (opening) => {
      const image = await openImage(device, opening);
      const disk = await openGuestDisk(besideEdit(image), how);
      const joint = joined(changesFrom(disk, from));
      const changes = await firstPortion(joint, image.geometry.clusterBytes, most);
      if (changes.length === 0) return { disk, changes, plan: undefined };
      const cipher = await cipherOf(image, how);
      const write = { changes, content: content ?? disk, disk, cipher, getsBacking };
      return { disk, changes, plan: await planWrite(image, write, { signal }) };
    },
    async ({ disk, changes, plan }) => {
      try {
        if (plan !== undefined) {
          await executePlan(plan, { signal });
          await completeHeader(device, plan);
        }
        return changes;
      } finally {
        await disk.close();
      }
    },
  );
}

async function cipherOf(
  image: OpenImage,
  { passphrase, cryptography }: GuestDiskOptions,
): Promise<Encryption | undefined> {
  if (image.header.encryption === 'none') return undefined;
  if (passphrase === undefined || cryptography === undefined) return undefined;
  return unlock(image, passphrase, cryptography);
}
