import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { copyFixture, fixtureNames, copyCompanions } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { differencesOf } from './parity-differences.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { behaviour, readBoth } from './parity.js';

const V3 = 'version-3.qcow2';

const files = temporaryDirectory();
async function makeFiles(): Promise<void> {
  for (const name of fixtureNames()) {
    copyFixture(name, files);
    copyCompanions(name, files);
  }
  writeFileSync(path.join(files, 'full'), Buffer.alloc(300_000, 'data\n'));
  await createImage(['empty', '10M'], files);
  await qemuImg(['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', 'pre', '3M'], {
    cwd: files,
  });
}

const sized = (...rest: readonly string[]): string[] => [
  'measure',
  '-O',
  'qcow2',
  '--size',
  '1G',
  ...rest,
];
const withOptions = (options: string): string[] => sized('-o', options);
const of = (...rest: readonly string[]): string[] => ['measure', '-O', 'qcow2', ...rest];

/** Command lines on which both tools agree to the byte. */
const EQUAL: readonly (readonly string[])[] = [
  ['measure'],
  ['measure', '--size', '1G'],
  ['measure', '--size', '1G', '-O', 'raw', '--output', 'json'],
  ['measure', '--size=1000'],
  sized(),
  sized('--output=json'),
  sized('--output=human'),
  sized('--output=foo'),
  sized('x'),
  sized('x', 'y'),
  sized('-f', 'raw'),
  sized('--image-opts'),
  sized('-l', 's'),
  sized('-U'),
  sized('--size', '2M'),
  sized('--object', 'secret,id=s,data=x'),
  ...[
    'abc',
    '-1',
    '16E',
    '8E',
    '7E',
    '4P',
    '0',
    '1',
    '511',
    '512',
    '1000',
    '64K',
    '0x10k',
    '1.5M',
    '200T',
  ]
    .concat(['2T', '128T', '2199023255553'])
    .flatMap((size) => [of('--size', size), ['measure', '--size', size]]),
  of('--size', '128G', '-o', 'cluster_size=512'),
  of('--size', '128G', '-o', 'cluster_size=512,refcount_bits=64'),
  of('--size', '129G', '-o', 'cluster_size=512'),
  ...['-O foo', '-O foo -o foo=1'].map((words) => ['measure', '--size', '1', ...words.split(' ')]),
  ...['512', '1k', '4k', '2M', '1000', '0', 'abc', ''].map((size) =>
    withOptions(`cluster_size=${size}`),
  ),
  ...[1, 2, 4, 8, 16, 32, 64, 3, 0, 128, -1].map((bits) => withOptions(`refcount_bits=${bits}`)),
  ...['off', 'metadata', 'falloc', 'full', 'foo'].map((mode) =>
    withOptions(`preallocation=${mode}`),
  ),
  ...['0.10', 'v2', '1.1', 'v3', '9', '0.10,refcount_bits=8'].map((level) =>
    withOptions(`compat=${level}`),
  ),
  ...[
    'extended_l2=on',
    'extended_l2=on,cluster_size=2M',
    'extended_l2=on,cluster_size=4k',
    'extended_l2=on,compat=0.10',
    'lazy_refcounts=on,compat=0.10',
    'compression_type=foo',
    'data_file=df',
    'data_file=df,data_file_raw=on',
    'backing_file=x',
    'backing_file=x,backing_fmt=foo',
    'backing_file=x,preallocation=full',
    'encryption=on',
    'encrypt.format=aes',
    'size=2G',
    'size=abc',
    'nocow=on',
    'foo=1',
    'help',
    ',',
    'foo,',
    'cluster_size=3,refcount_bits=3,compat=9,preallocation=foo',
    'refcount_bits=3,compat=9,preallocation=foo',
    'refcount_bits=3,compat=9',
    'refcount_bits=3,preallocation=foo',
    'compat=0.10,refcount_bits=3',
    'cluster_size=4k,extended_l2=on,preallocation=foo',
  ].map(withOptions),
  ['measure', '--size', '1G', '-o', 'preallocation=full'],
  ['measure', '--size', '1G', '-o', 'foo=1'],
  of('nofile'),
  of('a', 'b'),
  of('-o', 'foo', 'nofile'),
  ['measure', '-O', 'foo', 'nofile'],
  ['measure', '-O', 'foo', V3],
  of('-f', 'foo', V3),
  of('-o', 'foo', V3),
  of('--image-opts', `driver=qcow2,file.filename=${V3}`),
  of('--image-opts', '-f', 'qcow2', `driver=qcow2,file.filename=${V3}`),
  ['measure', '-f', 'raw', V3],
  ['measure', V3],
  of('-U', V3),
  of('--force-share', V3),
  of('--output=json', V3),
  of('--output=json', 'bitmaps-snapshots.qcow2'),
  of('-o', 'backing_file=base', V3),
  of('-o', 'compat=0.10', V3),
  of('-o', 'compat=0.10', 'bitmaps-snapshots.qcow2'),
  of('-o', 'cluster_size=512', 'bitmaps-snapshots.qcow2'),
  ...[
    '1',
    '2',
    'first',
    'nope',
    '',
    'id=1',
    'snapshot.id=1',
    'snapshot.name=first',
    'snapshot.name=nope',
  ]
    .concat([
      'snapshot.id=1,snapshot.name=second',
      'snapshot.id=1,snapshot.name=first',
      'snapshot.foo=1',
    ])
    .concat(['snapshot.', 'snapshot.id', 'snapshot.id=', 'snapshot.id=1,foo=2', 'a,b'])
    .flatMap((snapshot) => [of('-l', snapshot, V3), ['measure', '-l', snapshot, V3]]),
  of('-l', '1', 'full'),
  of('full'),
  of('-f', 'raw', 'full'),
  ['measure', 'full'],
  of('empty'),
  of('pre'),
  of('-o', 'cluster_size=512', 'pre'),
];

/** Command lines on which they differ, and what shows it. */
/** QEMU printed its help and ended with 0 before. */
const USAGE: readonly (readonly string[])[] = [
  ['measure', '-Z', '1'],
  ['measure', '-O'],
];

const DIFFERENT: readonly DifferentLine[] = [
  ['huge-numbers', ...of('--size', '1E', '-o', 'cluster_size=2M')],
  ['own-help', 'measure', '-h'],
  ['other-formats', 'measure', '-O', 'vdi', '--size', '1G'],
  ['other-formats', ...of('-f', 'vdi', V3)],
];

describeWithQemu('measure', () => {
  beforeAll(makeFiles);

  const run = (argv: readonly string[]) => readBoth(argv, files);
  const { namedOptions } = behaviour();
  testEqual(namedOptions ? [...EQUAL, ...USAGE] : EQUAL, run);
  const asked = USAGE.map((argv): DifferentLine => ['measure-usage', ...argv]);
  testDifferent(namedOptions ? DIFFERENT : [...DIFFERENT, ...asked], run);

  test.each(oneIn(4, fixtureNames()))('fixture %s', async (name) => {
    expect(readdirSync(files)).toContain(`${name}.qcow2`);
    for (const options of [
      'cluster_size=512',
      'cluster_size=64k,preallocation=off',
      'extended_l2=on',
    ]) {
      for (const output of ['human', 'json']) {
        const argv = of('-o', options, `--output=${output}`, `${name}.qcow2`);
        const pair = await readBoth(argv, files);
        const shown = differencesOf(pair);
        if (shown.length === 0) expect(pair.ours).toEqual(pair.qemu);
        expect(shown.length, JSON.stringify({ argv, ...pair })).toBeLessThanOrEqual(1);
        const isEqual = JSON.stringify(pair.ours) === JSON.stringify(pair.qemu);
        expect(isEqual || shown.length === 1, JSON.stringify({ argv, ...pair })).toBe(true);
      }
    }
  });
});
