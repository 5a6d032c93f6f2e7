/** Images made compact, by files. */
import { rmSync } from 'node:fs';
import { openImage } from '../../src/image/open.js';
import { compactImage } from '../../src/make/compact/compact-image.js';
import type { CompactOptions, CompactReport } from '../../src/make/compact/compact-options.js';
import type { OpenImage } from '../../src/image/image.js';
import {
  createNewFile,
  equalBytes,
  nodeCompressor,
  nodeCryptography,
  nodeDecompressor,
  openFile,
} from '../../src/node/index.js';

/** What Node gives a compaction. */
export const PLATFORM = {
  isEqual: equalBytes,
  decompressor: nodeDecompressor(),
  compressor: nodeCompressor(),
  cryptography: nodeCryptography(),
};

/** Makes a new file, in place of what is there. */
export async function compactFile(
  from: string,
  to: string,
  options: (image: OpenImage) => Partial<CompactOptions> = () => ({}),
): Promise<CompactReport> {
  rmSync(to, { force: true });
  const source = await openFile(from);
  try {
    const image = await openImage(source);
    const device = await createNewFile(to);
    try {
      return await compactImage(image, device, { ...PLATFORM, ...options(image) });
    } finally {
      await device.close();
    }
  } finally {
    await source.close();
  }
}
