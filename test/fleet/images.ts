/** Many small images: fixtures, sound ones with a snapshot of their own, so that no two of them are alike. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isQsnapError, memoryDevice, openQcow } from '../../src/index.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';

/** Larger ones would only take room. */
const BYTES_MAX = 300_000;
/** Images in one folder. */
const FOLDER_IMAGES = 500;

const DATE = { seconds: 1_790_000_000, nanoseconds: 0 };

/** Writes `count` images below a folder; returns their paths. */
export async function writeImages(folder: string, count: number): Promise<readonly string[]> {
  const small = fixtureNames()
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= BYTES_MAX);
  const paths: string[] = [];
  for (let i = 0; i < count; i++) {
    const { name, bytes } = small[i % small.length]!;
    const inside = join(folder, String(Math.floor(i / FOLDER_IMAGES)));
    if (i % FOLDER_IMAGES === 0) mkdirSync(inside, { recursive: true });
    const path = join(inside, `${i}-${name}.qcow2`);
    writeFileSync(path, await withOwnSnapshot(bytes, `taken ${i}`));
    paths.push(path);
  }
  return paths;
}

/** The image with one snapshot more, or as it is where no edit takes it. */
export async function withOwnSnapshot(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const device = memoryDevice(bytes.slice());
  try {
    await using image = await openQcow(device);
    await image.create(name, { date: DATE });
    const after = new Uint8Array(await device.sizeBytes());
    await device.readBatch([{ at: 0, into: after }]);
    return after;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return bytes;
  }
}
