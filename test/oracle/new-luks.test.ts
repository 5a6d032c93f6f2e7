/** Images that qsnap encrypts: QEMU reads and writes them, and each takes the key slots that the other one filled. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { ourOutcome } from './parity.js';

const secrets = (...texts: readonly string[]): readonly string[] =>
  texts.flatMap((text) => ['--object', `secret,id=${text},data=pass ${text}`]);
const keyed = (name: string, id = 'a'): string =>
  `driver=qcow2,file.filename=${name},encrypt.key-secret=${id}`;

const HOW = [
  'encrypt.format=luks',
  'encrypt.format=luks,encrypt.cipher-alg=aes-192,encrypt.hash-alg=sha512,cluster_size=4k',
  'encrypt.format=luks,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,extended_l2=on',
  'encrypt.format=luks,encrypt.cipher-alg=aes-128,encrypt.ivgen-alg=plain,encrypt.hash-alg=sha1,compat=0.10',
  'encrypt.format=luks,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=md5,cluster_size=512',
  'encrypt.format=luks,encrypt.hash-alg=ripemd160,encrypt.ivgen-alg=essiv,preallocation=full',
  'encrypt.format=luks,encrypt.hash-alg=sha224,cluster_size=2M',
  'encrypt.format=luks,encrypt.hash-alg=sha384,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain',
  'encrypt.format=luks,preallocation=metadata',
  'encrypt.format=luks,preallocation=metadata,extended_l2=on',
  'encrypt.format=luks,preallocation=falloc,compat=0.10,cluster_size=4k',
  'encrypt.format=luks,data_file=beside,preallocation=metadata',
  'encrypt.format=luks,data_file=beside,data_file_raw=on,cluster_size=4k',
  'encrypt.format=aes,preallocation=metadata',
  'encrypt.format=aes',
  'encrypt.format=aes,compat=0.10,cluster_size=512',
];

const cwd = memoryDirectory();
const raw = Buffer.from(
  Uint8Array.from({ length: 1_000_448 }, (_, i) => (i * 31 + (i >>> 9)) & 255),
);
raw.fill(0, 200_000, 700_000);

async function ours(...argv: readonly string[]): Promise<void> {
  expect(await ourOutcome(argv, cwd)).toEqual({ code: 0, stdout: '', stderr: '' });
}

/** QEMU reads the disk as it is to be, writes into it, and finds nothing wrong. */
async function expectTaken(name: string, id: string): Promise<void> {
  const key = [...secrets(id), '--image-opts'];
  await qemuImg(['convert', ...key, keyed(name, id), '-O', 'raw', 'back'], { cwd });
  await qemuImg(['compare', '-f', 'raw', '-F', 'raw', 'raw', 'back'], { cwd });
  await qemuImg(['check', ...key, keyed(name, id)], { cwd });
}

describeWithQemu('what qsnap encrypts', () => {
  beforeAll(() => {
    writeFileSync(path.join(cwd, 'raw'), raw);
  });

  test.each(oneIn(3, HOW))('%s', async (how) => {
    const options = `${how},encrypt.key-secret=a${how.includes('luks') ? ',encrypt.iter-time=1' : ''}`;
    await ours('convert', ...secrets('a'), '-O', 'qcow2', '-o', options, '-f', 'raw', 'raw', 'new');
    await expectTaken('new', 'a');
    // And back.
    await ours('convert', ...secrets('a'), '--image-opts', '-O', 'raw', keyed('new'), 'mine');
    await qemuImg(['compare', '-f', 'raw', '-F', 'raw', 'raw', 'mine'], { cwd });
  });

  test('a copy into an encrypted image that is there, as libvirt makes one', async () => {
    const luks = (id: string): string =>
      `encrypt.format=luks,encrypt.key-secret=${id},encrypt.iter-time=1,compat=1.1`;
    await ours(
      'convert',
      ...secrets('a'),
      '-O',
      'qcow2',
      '-o',
      luks('a'),
      '-f',
      'raw',
      'raw',
      'in',
    );
    await ours('create', '-q', '-f', 'qcow2', ...secrets('b'), '-o', luks('b'), 'out', '977K');
    const both = ['--image-opts', '-n', '--target-image-opts', ...secrets('a', 'b')];
    await ours('convert', ...both, keyed('in'), keyed('out', 'b'));
    await expectTaken('out', 'b');
  });

  test('key slots: what one fills the other one opens, and erases', async () => {
    const luks = 'encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=1';
    await ours('convert', ...secrets('a'), '-O', 'qcow2', '-o', luks, '-f', 'raw', 'raw', 'keys');
    const amend = (id: string, options: string, other: string): readonly string[] => [
      ...['amend', ...secrets(id, other), '--image-opts', '-o', options, keyed('keys', id)],
    ];
    const fill = (id: string): string =>
      `encrypt.state=active,encrypt.new-secret=${id},encrypt.iter-time=1`;
    const erase = (id: string): string => `encrypt.state=inactive,encrypt.old-secret=${id}`;
    await ours(...amend('a', fill('b'), 'b'));
    await expectTaken('keys', 'b');
    await ours(...amend('b', erase('a'), 'a'));
    await expect(expectTaken('keys', 'a')).rejects.toThrow('cannot unlock any keyslot');
    if (process.env['QSNAP_THINNER'] !== undefined) {
      leaveOut('key slots that QEMU fills, which takes it seconds');
      return;
    }
    await qemuImg(amend('b', fill('c'), 'c'), { cwd });
    await ours(...amend('c', erase('b'), 'b'));
    await ours(...amend('c', `${fill('a')},encrypt.keyslot=7`, 'a'));
    await ours('amend', '--force', ...amend('a', `${fill('b')},encrypt.keyslot=7`, 'b').slice(1));
    await qemuImg(amend('b', erase('c'), 'c'), { cwd });
    await expectTaken('keys', 'b');
  });

  test('QEMU writes into it', async () => {
    const luks = 'encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=1';
    await ours('create', '-q', '-f', 'qcow2', ...secrets('a'), '-o', luks, 'empty', '977K');
    const target = ['--target-image-opts', '-f', 'raw', 'raw', keyed('empty')];
    await qemuImg(['convert', '-n', ...secrets('a'), ...target], { cwd });
    await qemuImg(['snapshot', '-c', 's', ...secrets('a'), '--image-opts', keyed('empty')], {
      cwd,
    });
    await expectTaken('empty', 'a');
  });
});
