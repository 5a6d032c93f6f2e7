import { isQsnapError, openQcow, type BlockSource } from '../../../index.js';
import { newSha256, nodeCryptography, nodeDecompressor } from '../../../node/index.js';
import type { DiskRecord } from './record.js';

/**
 * Adds the SHA-256 of what a guest would read of each disk. A disk that leaves parts to another file, is encrypted or
 * damaged has none.
 *
 * @param source closed in the end.
 */
export async function hashDisks(
  source: BlockSource,
  disks: readonly DiskRecord[],
): Promise<readonly DiskRecord[]> {
  await using image = await openQcow(source, {
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
  });
  const hashed: DiskRecord[] = [];
  for (const disk of disks) {
    const snapshot = disk.position === 0 ? undefined : image.snapshots[disk.position - 1];
    let contentSha256: string | undefined;
    try {
      await using opened = await image.disk(snapshot);
      const hasher = newSha256();
      for await (const chunk of opened.stream()) hasher.update(chunk);
      contentSha256 = hasher.digest();
    } catch (error) {
      if (!isQsnapError(error) || !UNREADABLE.has(error.kind)) throw error;
    }
    hashed.push({ ...disk, contentSha256 });
  }
  return hashed;
}

/** The image is damaged, or asks for more than is here. */
const UNREADABLE: ReadonlySet<string> = new Set(['image', 'request']);
