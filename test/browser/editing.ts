/** Edits of an image in memory, the same in Node and in a page. */
import {
  executePlan,
  memoryDevice,
  openImage,
  openQcow,
  planCreate,
  planDelete,
} from '../../src/index.js';

/** Creates a snapshot, deletes the first one, and renames, resizes and streams by `openQcow`. Then a check: the image afterwards, and what was found. */
export async function editImage(
  bytes: Uint8Array,
): Promise<{ readonly bytes: Uint8Array; readonly findings: readonly string[] }> {
  const device = memoryDevice(bytes);
  const date = { seconds: 1_800_000_000, nanoseconds: 0 };
  const create = await planCreate(await openImage(device), { name: 'in a page', date });
  await executePlan(create);
  const image = await openImage(device);
  await executePlan(await planDelete(image, [image.snapshots[0]!]));
  const facade = await openQcow(device);
  await facade.rename('in a page', 'in a browser');
  const { diskSizeBytes } = facade;
  await facade.resize(2 * diskSizeBytes);
  const stream = (await facade.disk('in a browser')).stream().getReader();
  let streamed = 0;
  for (let next = await stream.read(); !next.done; next = await stream.read()) {
    streamed += next.value.length;
  }
  if (streamed !== diskSizeBytes) throw new Error(`${streamed} bytes came of ${diskSizeBytes}`);
  const { findings } = await facade.check();
  const edited = new Uint8Array(await device.sizeBytes());
  await device.readBatch([{ at: 0, into: edited }]);
  return { bytes: edited, findings: findings.map(({ code }) => code) };
}
