/**
 * Edits one image of a folder and reads others, with the build; prints the results as JSON. Arguments: the
 * folder, `node` or `web` for the entry that is used, and the images to read.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TextEncoder } from 'node:util';
import {
  checkImage,
  executePlan,
  memoryDevice,
  openGuestDisk,
  openImage,
  openQcow,
  planCreate,
  planDelete,
} from '../../dist/index.js';

const [folder, entry, ...names] = process.argv.slice(2);
const pathOf = (name) => path.join(folder, `${name}.qcow2`);

/** What the engine takes from the entry `qsnap/node`: files are locked and written in place. */
async function byNode() {
  const node = await import('../../dist/node.js');
  return {
    cryptography: node.nodeCryptography(),
    decompressor: node.nodeDecompressor(),
    newSha256: node.newSha256,
    open: (name) => node.openFile(pathOf(name)),
    edit: async (name, change) => {
      const device = await node.openFileForEdit(pathOf(name));
      await change(device);
      await device.close();
    },
    openForEdits: async (name) => node.openImageFile(pathOf(name), { write: true }),
  };
}

/** The same of `qsnap/web`: images are in memory, and written back as a whole. */
async function byWeb() {
  const web = await import('../../dist/web.js');
  const inMemory = (name) => memoryDevice(new Uint8Array(readFileSync(pathOf(name))), name);
  return {
    cryptography: web.webCryptography(),
    decompressor: web.webDecompressor(),
    newSha256: web.newSha256,
    open: inMemory,
    edit: async (name, change) => {
      const device = inMemory(name);
      await change(device);
      const bytes = new Uint8Array(await device.sizeBytes());
      await device.readBatch([{ at: 0, into: bytes }]);
      writeFileSync(pathOf(name), bytes);
    },
    openForEdits: async (name) => openQcow(inMemory(name)),
  };
}

const { cryptography, decompressor, newSha256, open, edit, openForEdits } =
  entry === 'web' ? await byWeb() : await byNode();
const results = { names: [], findings: [], hashes: {} };

await edit('five-snapshots', async (device) => {
  const date = { seconds: 1_800_000_000, nanoseconds: 0 };
  const create = await planCreate(await openImage(device), { name: 'another runtime', date });
  await executePlan(create);
  const image = await openImage(device);
  await executePlan(await planDelete(image, image.snapshots.slice(1, 3)));
  const { findings } = await checkImage(device);
  results.findings = findings.map(({ code }) => code);
  results.names = (await openImage(device)).snapshots.map(({ name }) => name);
});

const facade = await openForEdits('five-snapshots');
await facade.create('by the facade');
await facade.delete('by the facade');
const disk = await facade.disk();
let streamed = 0;
for await (const chunk of disk.stream()) streamed += chunk.length;
results.streamed = streamed === facade.diskSizeBytes;
await facade[Symbol.asyncDispose]();

for (const name of names) {
  const source = await open(name);
  const passphrase = new TextEncoder().encode('open sesame');
  const image = await openImage(source);
  const disk = await openGuestDisk(image, { cryptography, decompressor, passphrase });
  const into = new Uint8Array(await disk.sizeBytes());
  await disk.readBatch([{ at: 0, into }]);
  const hasher = newSha256();
  hasher.update(into);
  results.hashes[name] = hasher.digest();
  await disk.close();
  await source.close();
}

console.log(JSON.stringify(results));
