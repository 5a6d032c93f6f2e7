/** The size of a block device: `stat` says 0, and Node can't seek to the end. */
import { promises } from 'node:fs';
import type { FileCalls } from './file-calls.js';

const SECTOR_BYTES = 512;
/** The kernel's own limit for a device is far below. */
const LONGEST_BYTES = Number.MAX_SAFE_INTEGER;

/** Size in bytes of the open block device with this device number. */
export async function blockDeviceSize(calls: FileCalls, deviceNumber: number): Promise<number> {
  return (await sizeBySysfs(deviceNumber)) ?? (await sizeByReading(calls));
}

/** Linux names every block device by its numbers, partitions too; the size is in sectors. */
async function sizeBySysfs(deviceNumber: number): Promise<number | undefined> {
  const { major, minor } = deviceParts(deviceNumber);
  try {
    const sectors = Number(
      await promises.readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8'),
    );
    return Number.isSafeInteger(sectors) ? sectors * SECTOR_BYTES : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Major and minor number, as Linux packs them into `dev_t`: the low 8 bits of the minor, 12 of the
 * major, 12 more of the minor.
 */
export function deviceParts(deviceNumber: number): { major: number; minor: number } {
  const major = Math.floor(deviceNumber / 2 ** 8) % 2 ** 12;
  const minor = (deviceNumber % 2 ** 8) + (Math.floor(deviceNumber / 2 ** 20) % 2 ** 12) * 2 ** 8;
  return { major, minor };
}

/** Finds the end by reading: a read at the end gives nothing. Some sixty small reads. */
export async function sizeByReading(calls: FileCalls): Promise<number> {
  const sector = new Uint8Array(SECTOR_BYTES);
  const holdsSector = async (index: number): Promise<boolean> =>
    (await calls.read([sector], index * SECTOR_BYTES)) > 0;
  const most = Math.floor(LONGEST_BYTES / SECTOR_BYTES);
  let past = 1;
  while (past < most && (await holdsSector(past))) past = Math.min(past * 2, most);
  let low = 0;
  while (low < past) {
    const middle = Math.floor((low + past) / 2);
    if (await holdsSector(middle)) low = middle + 1;
    else past = middle;
  }
  return low * SECTOR_BYTES;
}
