/** Keys and images with LUKS whose every byte is given. */
import { createHash } from 'node:crypto';
import { createImage, newQcow2Writer, openGuestDisk, openImage } from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import type { KeyMaker } from '../../src/luks/key-maker.js';
import { newLuks, type NewLuks, type NewLuksOptions } from '../../src/luks/new-luks.js';
import { nodeCryptography } from '../../src/node/index.js';
import type { CreateImageOptions } from '../../src/make/new/create-options.js';
import type { NewImageOptions } from '../../src/make/new/image-writer.js';
import { PLAIN } from './new-image.js';

/** Numbers that are the same every time, and the fewest rounds. */
export function steadyKeyMaker(seed = 'seed'): KeyMaker {
  let calls = 0;
  return {
    cryptography: nodeCryptography(),
    random: (bytes) => {
      const parts: Buffer[] = [];
      for (let i = 0; i * 32 < bytes; i += 1) {
        parts.push(createHash('sha256').update(`${seed} ${calls} ${i}`).digest());
      }
      calls += 1;
      return new Uint8Array(Buffer.concat(parts).subarray(0, bytes));
    },
    roundsPerSecond: () => 1,
  };
}

export const passphrase = (text: string): Uint8Array => new TextEncoder().encode(text);

export const AES_128_CBC: NewLuksOptions = {
  cipher: { cipher: 'aes', mode: 'cbc', ivGenerator: 'essiv', ivHash: 'sha256' },
  keyBytes: 16,
  hash: 'sha1',
  passphrase: passphrase('first'),
  milliseconds: 1,
};

export const AES_256_XTS: NewLuksOptions = {
  cipher: { cipher: 'aes', mode: 'xts', ivGenerator: 'plain64', ivHash: undefined },
  keyBytes: 64,
  hash: 'sha256',
  passphrase: passphrase('first'),
  milliseconds: 1,
};

/** An empty image with LUKS. */
export async function luksImage(
  options = AES_128_CBC,
  changes: Partial<CreateImageOptions> = {},
): Promise<Uint8Array> {
  const device = memoryDevice();
  const encryption = await newLuks(options, steadyKeyMaker());
  await createImage(device, { ...PLAIN, encryption, ...changes });
  return device.snapshotBytes();
}

/** An image that holds these bytes from `at` on. */
export async function writtenImage(
  encryption: NewLuks,
  at: number,
  bytes: Uint8Array,
  changes: Partial<NewImageOptions> = {},
): Promise<Uint8Array> {
  const device = memoryDevice();
  const writer = await newQcow2Writer(device, { ...PLAIN, encryption, ...changes });
  await writer.writeBatch([{ kind: 'data', at, bytes }]);
  await writer.finish();
  return device.snapshotBytes();
}

/** What a guest reads with this passphrase. */
export async function guestBytes(
  image: Uint8Array,
  at: number,
  length: number,
  words = 'first',
): Promise<Uint8Array> {
  const disk = await openGuestDisk(await openImage(memoryDevice(image)), {
    passphrase: passphrase(words),
    cryptography: nodeCryptography(),
  });
  const into = new Uint8Array(length);
  await disk.readBatch([{ at, into }]);
  await disk.close();
  return into;
}
