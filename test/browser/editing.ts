/** Edits of an image in memory, the same in Node and in a page. */
import {
  checkImage,
  executePlan,
  memoryDevice,
  openImage,
  planCreate,
  planDelete,
} from '../../src/index.js';

/** Creates a snapshot, deletes the first one, and checks: the image afterwards, and what was found. */
export async function editImage(
  bytes: Uint8Array,
): Promise<{ readonly bytes: Uint8Array; readonly findings: readonly string[] }> {
  const device = memoryDevice(bytes);
  const date = { seconds: 1_800_000_000, nanoseconds: 0 };
  const create = await planCreate(await openImage(device), { name: 'in a page', date });
  await executePlan(create);
  const image = await openImage(device);
  await executePlan(await planDelete(image, [image.snapshots[0]!]));
  const { findings } = await checkImage(device);
  const edited = new Uint8Array(await device.sizeBytes());
  await device.readBatch([{ at: 0, into: edited }]);
  return { bytes: edited, findings: findings.map(({ code }) => code) };
}
