/**
 * Encryption of new images and key slots: the same words as QEMU's, and images that differ in nothing but keys. What QEMU
 * makes with LUKS takes it seconds, so that few are made.
 */
import { createCipheriv } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openImage } from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import { readLuks } from '../../src/read/guest/luks-keys.js';
import { memoryDirectory } from '../support/directories.js';
import { leaveOut } from '../support/left-out.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { editBoth, madeByBoth, ourOutcome, type EditedPair } from './parity.js';

const secret = (text: string): readonly string[] => ['--object', `secret,${text}`];
const S = secret('id=s,data=abc');
const N = secret('id=n,data=new');
const KEYED = (name: string, id = 's'): string =>
  `driver=qcow2,file.filename=${name},encrypt.key-secret=${id}`;
const LUKS = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1';
const AES = 'encrypt.format=aes,encrypt.key-secret=s';

const create = (options: string): readonly string[] => [
  ...['create', '-f', 'qcow2', ...S, '-o', options, 'x', '1M'],
];
const measure = (options: string): readonly string[] => [
  ...['measure', ...S, '-O', 'qcow2', '-o', options, '--size', '10M'],
];
const convert = (options: string): readonly string[] => [
  ...['convert', ...S, '-f', 'raw', '-O', 'qcow2', '-o', options, 'raw', 'x'],
];
const amend = (options: string, name = 'luks', ...flags: readonly string[]): readonly string[] => [
  ...['amend', ...S, ...N, ...secret('id=w,data=wrong'), ...flags, '--image-opts'],
  ...['-o', options, KEYED(name)],
];
const erase = (options: string, name = 'luks'): readonly string[] =>
  amend(`encrypt.state=inactive,${options}`, name);
const fill = (options: string, name = 'luks'): readonly string[] =>
  amend(`encrypt.state=active,${options}`, name);

const IV = Buffer.alloc(16, 9).toString('base64');

/** Encrypted by the secret `m`, as a manager of machines gives secrets to QEMU. */
function sealed(text: string, end = ''): string {
  const cipher = createCipheriv('aes-256-cbc', Buffer.alloc(32, '0'), Buffer.alloc(16, 9));
  cipher.setAutoPadding(end === '');
  return Buffer.concat([cipher.update(text + end, 'latin1'), cipher.final()]).toString('base64');
}

const encrypted = (options: string, key = '0'.repeat(32)): readonly string[] => [
  ...['map', ...secret(`id=m,data=${key}`), ...secret(`id=s,keyid=m,${options}`)],
  ...['--image-opts', KEYED('luks')],
];
const BASE64 = `iv=${IV},format=base64`;

const SECRETS: readonly (readonly string[])[] = [
  encrypted(`${BASE64},data=${sealed('abc')}`),
  encrypted(`${BASE64},data=${sealed('other')}`),
  encrypted(`iv=${IV},data=${sealed('abc')}`),
  encrypted(`format=base64,data=${sealed('abc')}`),
  encrypted(`iv=MDAw,format=base64,data=***`),
  encrypted(`iv=***,data=abc`),
  encrypted(`iv=,data=abc`),
  encrypted(`${BASE64},data=${sealed('abc')}`, 'short'),
  encrypted(`${BASE64},data=MDAw`),
  encrypted(`${BASE64},data=`),
  encrypted(`${BASE64},data=${sealed('abc')}`, '1'.repeat(32)),
  // Of the padding its last byte counts alone.
  encrypted(`${BASE64},data=${sealed('abc', '\x01'.repeat(12) + '\x0d')}`),
  encrypted(`${BASE64},data=${sealed('abc', '\0'.repeat(13))}`),
  encrypted(`${BASE64},data=${sealed('abc', '\x11'.repeat(13))}`),
  encrypted(`keyid=t,file=nowhere`),
  encrypted(`keyid=t,data=a`),
  ['map', ...secret('id=s,data=abc,iv=***'), '--image-opts', KEYED('luks')],
  ['map', ...secret('id=s,file=no-text'), '--image-opts', KEYED('luks')],
];

/** What is refused, or takes QEMU no time. */
const LINES: readonly (readonly string[])[] = [
  ...[
    ...['encrypt.key-secret=s', 'encrypt.cipher-alg=x', 'encryption=on', 'encryption=off'],
    ...['encryption=on,encrypt.format=luks,compat=0.3', 'encryption=off,encrypt.key-secret=s'],
    ...['encrypt.format=luks', 'encrypt.format=luks,encrypt.key-secret=t', 'encrypt.format=foo'],
    ...['encrypt.format=', 'encrypt.format=foo,preallocation=foo', 'encrypt.format=foo,compat=0.3'],
    ...['encrypt.format=luks,cluster_size=3', 'encrypt.format=luks,encrypt.cipher-alg=foo'],
    ...[`${LUKS},encrypt.cipher-mode=foo,encrypt.hash-alg=bar`, `${LUKS},encrypt.iter-time=x`],
    ...[`${LUKS},encrypt.ivgen-alg=foo,encrypt.ivgen-hash-alg=bar`, `${LUKS},encrypt.hash-alg=`],
    ...[
      `${LUKS},encrypt.detached-header=on`,
      `${LUKS},encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha1`,
    ],
    ...[`${LUKS},encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha512`],
    ...[`${AES},encrypt.iter-time=1,encrypt.cipher-alg=aes-256`, `${AES},encryption=on`],
    ...[`${AES},encrypt.hash-alg=md5,encrypt.ivgen-alg=x`, `${AES},compat=0.10`, AES],
    ...[
      `${AES},preallocation=full`,
      `${AES},cluster_size=512`,
      'encrypt.format=qcow,encrypt.key-secret=s',
    ],
    ...['encryption=on,encrypt.key-secret=s', `${AES},extended_l2=on`],
  ].map(create),
  ...['create', 'convert'].map((command) => [
    ...[command, '-f', 'raw', '-O', 'qcow2'].slice(0, command === 'create' ? 1 : 5),
    ...(command === 'create' ? ['-f', 'qcow2'] : []),
    ...[...secret('id=s,file=no-text'), '-o', LUKS],
    ...(command === 'create' ? ['x', '1M'] : ['raw', 'x']),
  ]),
  ...[
    ...['encrypt.format=luks', 'encrypt.format=luks,encrypt.key-secret=t', AES, 'encrypt.format=x'],
    ...[
      `${LUKS},encrypt.hash-alg=f`,
      'encryption=on',
      `${LUKS},encrypt.key-secret=t,cluster_size=3`,
    ],
    ...[`${LUKS},encrypt.key-secret=t,compat=x`],
  ].map(measure),
  ...['encrypt.format=luks', `${LUKS},encrypt.key-secret=t`, `${LUKS},encrypt.cipher-alg=x`].map(
    convert,
  ),
  ['convert', ...S, '-c', '-f', 'raw', '-O', 'qcow2', '-o', LUKS, 'raw', 'x'],
  ...[
    ...['encrypt.state=active', 'encrypt.new-secret=n', 'encrypt.state=foo', 'encrypt.format=luks'],
    ...[
      'encrypt.state=foo,refcount_bits=3',
      'encrypt.state=foo,data_file=x',
      'encrypt.key-secret=s',
    ],
    ...[
      'encrypt.state=foo,refcount_bits=1',
      'encrypt.state=inactive,compat=0.3',
      'encrypt.keyslot=x',
    ],
  ].map((options) => amend(options)),
  ...[
    ...[
      'encrypt.old-secret=w',
      'encrypt.old-secret=t',
      'encrypt.new-secret=n',
      'encrypt.keyslot=9',
    ],
    ...['encrypt.keyslot=-1', 'encrypt.keyslot=3', 'encrypt.keyslot=0', 'encrypt.old-secret=s'],
    ...['encrypt.keyslot=0,encrypt.iter-time=1', 'encrypt.old-secret=w,encrypt.keyslot=0'],
    ...['encrypt.old-secret=w,backing_file=x', 'encrypt.keyslot=0,lazy_refcounts=on,compat=0.10'],
  ].map((options) => erase(options)),
  ...[
    ...['encrypt.new-secret=t', 'encrypt.new-secret=n,encrypt.keyslot=8'],
    ...['encrypt.new-secret=n,encrypt.keyslot=0', 'encrypt.new-secret=n,encrypt.old-secret=s'],
  ].map((options) => fill(options)),
  fill('encrypt.new-secret=n', 'full'),
  fill('encrypt.new-secret=n', 'aes'),
  fill('encrypt.new-secret=n', 'plain'),
  amend('encrypt.state=foo', 'plain'),
  ['amend', ...N, '-o', 'encrypt.state=active', 'luks'],
  [
    'amend',
    ...S,
    ...secret('id=s2,data=x'),
    '--image-opts',
    '-o',
    'encrypt.state=active',
    KEYED('luks', 's2'),
  ],
];

/** What is done, and compared. QEMU takes seconds for each but the first, and on a busy machine more than it is given. */
const DONE: readonly (readonly string[])[] = [
  erase('encrypt.keyslot=1', 'full'),
  ...inLongRuns([
    create(
      `${LUKS},cluster_size=4k,encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,preallocation=metadata`,
    ),
    create(
      `${LUKS},encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=md5,backing_file=plain,backing_fmt=qcow2`,
    ),
    measure(`${LUKS},encrypt.cipher-alg=aes-192,cluster_size=512`),
    measure(`${LUKS},cluster_size=2M,preallocation=full`),
    amend('encrypt.state=active,encrypt.new-secret=n,encrypt.keyslot=1,encrypt.iter-time=1'),
  ]),
];

function inLongRuns(lines: readonly (readonly string[])[]): readonly (readonly string[])[] {
  if (process.env['QSNAP_ROUNDS'] !== undefined) return lines;
  leaveOut('new LUKS headers that QSNAP_ROUNDS=1 compares');
  return [];
}

const DIFFERENT: readonly DifferentLine[] = [
  ['ciphers-not-made', ...create(`${LUKS},encrypt.cipher-alg=serpent-256`)],
  ['ciphers-not-made', ...create(`${LUKS},encrypt.cipher-mode=ctr`)],
  [
    'spare-key-slot',
    ...amend(
      'encrypt.state=active,encrypt.new-secret=n,encrypt.keyslot=3,encrypt.iter-time=1',
      'full',
      '--force',
    ),
  ],
];

const template = path.join(memoryDirectory(), 'template');

async function makeAll(): Promise<void> {
  mkdirSync(template);
  const cwd = template;
  const make = (argv: readonly string[]) =>
    steady(() => qemuImg(['create', '-q', '-f', 'qcow2', ...argv, '1M'], { cwd }));
  writeFileSync(path.join(cwd, 'raw'), Buffer.alloc(1024 * 1024, 5).fill(0, 65_536, 400_000));
  writeFileSync(path.join(cwd, 'no-text'), Buffer.from('a\0b'));
  await make(['plain']);
  await make([...S, '-o', AES, 'aes']);
  await make([...S, '-o', LUKS, 'luks']);
  cpSync(path.join(cwd, 'luks'), path.join(cwd, 'full'));
  // The key material of one slot for all, which says nothing but that they are in use.
  const full = readFileSync(path.join(cwd, 'full'));
  const { at } = await readLuks(await openImage(memoryDevice(full)));
  for (let slot = 1; slot < 8; slot += 1) {
    const [from, to] = [at + 208, at + 208 + slot * 48];
    full.copy(full, to, from, from + 40);
    full.copy(full, at + 4096 + slot * 258_048, at + 4096, at + 4096 + 256_000);
  }
  writeFileSync(path.join(cwd, 'full'), full);
}

/** QEMU 7.2 measures the time that it used, and gives up at times on a machine that is busy. */
async function steady<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await run();
    } catch (error) {
      if (tries === 4 || !String(error).includes('accurate CPU usage')) throw error;
    }
  }
}

async function both(argv: readonly string[]): Promise<EditedPair> {
  for (let tries = 0; ; tries += 1) {
    const pair = await editBoth(argv, memoryDirectory(), (directory) => {
      cpSync(template, directory, { recursive: true });
    });
    if (tries === 4 || !pair.qemu.stderr.includes('accurate CPU usage')) return pair;
  }
}

/** All bytes but those of the LUKS header are the same, and of it all but keys. */
async function expectAlike(pair: EditedPair): Promise<void> {
  expect(readdirSync(pair.ourDirectory)).toEqual(readdirSync(pair.qemuDirectory));
  for (const name of readdirSync(pair.ourDirectory)) {
    const files = madeByBoth(pair, name).map((file) => readFileSync(file));
    const [theirs, ours] = await Promise.all(files.map(withoutKeys));
    expect(ours, name).toEqual(theirs);
  }
}

/** The file, and what its LUKS header says but for what chance and time make of it. */
async function withoutKeys(bytes: Buffer): Promise<unknown> {
  const isImage = bytes.subarray(0, 4).toString('latin1') === 'QFI\xfb';
  if (!isImage || bytes.readUInt32BE(32) !== 2) return bytes.toString('latin1');
  const luks = await readLuks(await openImage(memoryDevice(bytes)));
  bytes.fill(0, luks.at, luks.at + luks.bytes);
  const slots = luks.header.slots.map(({ active, stripes, keyOffset }) => {
    return { active, stripes, keyOffset };
  });
  const { header } = luks;
  const random = { uuid: '', masterKeySalt: '', masterKeyDigest: '', masterKeyIterations: 0 };
  return [bytes.toString('latin1'), { ...luks, header: { ...header, ...random, slots } }];
}

describeWithQemu('encryption', () => {
  beforeAll(makeAll, 60_000);

  testEqual(SECRETS, both);
  testEqual(LINES, both, expectAlike);
  testEqual(DONE, both, expectAlike);

  test('a new image with LUKS differs in nothing but keys', async () => {
    const folder = memoryDirectory();
    const argv = ['create', '-q', '-f', 'qcow2', ...S, '-o', LUKS, 'luks', '1M'];
    expect(await ourOutcome(argv, folder)).toEqual({ code: 0, stdout: '', stderr: '' });
    const [theirs, ours] = await Promise.all(
      [template, folder].map((from) => withoutKeys(readFileSync(path.join(from, 'luks')))),
    );
    expect(ours).toEqual(theirs);
  });

  testDifferent(DIFFERENT, both);
});
