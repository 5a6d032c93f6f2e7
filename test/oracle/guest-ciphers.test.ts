/** Images with all LUKS ciphers that QEMU makes and Node knows: qsnap reads what QEMU wrote. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openGuestDisk, openImage } from '../../src/index.js';
import { nodeCryptography, openFile } from '../../src/node/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';

const SECRET = ['--object', 'secret,id=s,data=open sesame'];

const CIPHERS = [
  'aes-192 xts plain64 sha512',
  'aes-256 cbc essiv sha512 sha256',
  'aes-128 xts plain sha1',
  // QEMU takes seconds for each, and parity-process.test.ts has like ones.
  ...inLongRuns([
    'aes-256 xts plain64 sha256',
    'aes-128 cbc plain sha256',
    'aes-256 xts essiv sha256 sha256',
  ]),
];

function inLongRuns(ciphers: readonly string[]): readonly string[] {
  if (process.env['QSNAP_ROUNDS'] !== undefined) return ciphers;
  leaveOut(`${ciphers.join(', ')}, which QSNAP_ROUNDS=1 tries`);
  return [];
}

async function made(words: string): Promise<{ file: string; raw: Uint8Array }> {
  const [alg, mode, iv, hash, ivHash] = words.split(' ');
  const directory = temporaryDirectory();
  const file = path.join(directory, 'disk.qcow2');
  const raw = Uint8Array.from({ length: 300_032 }, (_, i) => (i * 31 + (i >>> 9)) & 255);
  writeFileSync(path.join(directory, 'raw'), raw);
  const options = [
    'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,cluster_size=4k',
    `encrypt.cipher-alg=${alg},encrypt.cipher-mode=${mode},encrypt.ivgen-alg=${iv}`,
    `encrypt.hash-alg=${hash}`,
    ...(ivHash === undefined ? [] : [`encrypt.ivgen-hash-alg=${ivHash}`]),
  ].join(',');
  const source = path.join(directory, 'raw');
  await qemuImg(['convert', ...SECRET, '-O', 'qcow2', '-o', options, source, file]);
  return { file, raw };
}

describeWithQemu('LUKS', () => {
  test.each(oneIn(3, CIPHERS))('%s', async (words) => {
    const { file, raw } = await made(words);
    const source = await openFile(file);
    const passphrase = new TextEncoder().encode('open sesame');
    const options = { passphrase, cryptography: nodeCryptography() };
    const disk = await openGuestDisk(await openImage(source), options);
    const into = new Uint8Array(raw.length);
    await disk.readBatch([{ at: 0, into }]);
    await source.close();
    expect(Buffer.compare(into, raw)).toBe(0);
  });

  test.each(['serpent-256 xts plain64 sha256', ...inLongRuns(['twofish-128 cbc plain64 sha256'])])(
    '%s is refused by name',
    async (words) => {
      const { file } = await made(words);
      expect(readFileSync(file).includes(words.split('-')[0]!)).toBe(true);
      const source = await openFile(file);
      const passphrase = new TextEncoder().encode('open sesame');
      const options = { passphrase, cryptography: nodeCryptography() };
      const opening = openGuestDisk(await openImage(source), options);
      await expect(opening).rejects.toMatchObject({ code: 'UNSUPPORTED_ENCRYPTION' });
      await source.close();
    },
  );
});
