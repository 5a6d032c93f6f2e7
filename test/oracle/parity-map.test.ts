/** `qsnap-img map` prints what `qemu-img map` prints. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { copyCompanions, copyFixture, fixtureNames, recipe } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { oneIn, oneInWithEach } from '../support/left-out.js';
import { describeWithQemu, qemuImg, qemuIo } from '../support/qemu.js';
import { readBoth } from './parity.js';

/** Formats and names that are refused by name: docs/parity.md. */
const REFUSED = new Set(['qcow-version-1', 'backing-json-name']);
const READABLE = fixtureNames().filter((name) => !REFUSED.has(name));

describeWithQemu('map of every fixture', () => {
  test.each(oneIn(6, READABLE))('%s', async (name) => {
    const directory = temporaryDirectory();
    copyFixture(name, directory);
    copyCompanions(name, directory);
    const { secret } = recipe(name);
    const file = `${name}.qcow2`;
    const withKey =
      secret === undefined
        ? []
        : [
            '--object',
            `secret,id=key,data=${secret}`,
            '--image-opts',
            `driver=qcow2,file.filename=${file},encrypt.key-secret=key`,
          ];
    for (const argv of [
      ['map'],
      ['map', '--output=json'],
      ['map', '-U', '-s', '5000', '-l', '100k'],
    ]) {
      for (const operand of [[file], ...(withKey.length > 0 ? [withKey] : [])]) {
        const { qemu, ours } = await readBoth([...argv, ...operand], directory);
        expect(ours, `${argv.join(' ')} ${name}`).toEqual(qemu);
      }
    }
  });
});

/** Command lines with what is wrong or odd about them, in a folder with one file of each kind. */
const COMMAND_LINES = [
  'map',
  'map disk.qcow2 base.raw',
  'map no-such-file',
  'map -f foo disk.qcow2',
  'map -f raw key64',
  'map -f qcow2 base.raw',
  'map --output=xml disk.qcow2',
  'map --output=json empty.raw',
  'map empty.raw',
  'map --output=json base.raw',
  'map base.raw',
  'map --output=json unaligned.raw',
  'map --output=json on-unaligned.qcow2',
  'map --output=json three.qcow2',
  'map three.qcow2',
  'map on-missing.qcow2',
  'map on-on-missing.qcow2',
  'map on-not-qcow2.qcow2',
  'map on-directory.qcow2',
  'map on-file-prefix.qcow2',
  'map on-unknown-protocol.qcow2',
  'map data-missing.qcow2',
  'map --output=json data-file.qcow2',
  'map data-file.qcow2',
  'map folder/below.qcow2',
  'map -s 1x disk.qcow2',
  'map -s -1 disk.qcow2',
  'map -l 1e3 disk.qcow2',
  'map -s 8E disk.qcow2',
  'map -l 99999999999999999999 disk.qcow2',
  'map -s 0x200k --output=json disk.qcow2',
  'map -s 7E --output=json disk.qcow2',
  'map -s 1000 -l 0 --output=json disk.qcow2',
  'map -s 1.5k -l 1B --output=json disk.qcow2',
  'map --start-offset=70000 --max-length=100000 disk.qcow2',
  'map -s 9223372036854775807 --output=json disk.qcow2',
  'map --image-opts -f qcow2 driver=qcow2,file.filename=disk.qcow2',
  'map --image-opts --output=json driver=raw,file.filename=base.raw',
  'map luks.qcow2',
  'map --output=json --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,data=wrong --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,data=wrong --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=t',
  'map --object secret,id=s,file=key --output=json --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,file=key64,format=base64 --output=json --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,file=key64 --output=json --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,data=b3BlbiBzZXNhbWU,format=base64 --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,data=@@,format=base64 --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,data=x,format=hex luks.qcow2',
  'map --object secret,id=s,data=x,keyid=t luks.qcow2',
  'map --object secret,id=s,file=bad-key --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s',
  'map --object secret,id=s,file=key --image-opts driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s,encrypt.format=aes',
  'map on-luks.qcow2',
];

const optionsOf = (line: string): readonly string[] => line.match(/(?<= )--?[a-z][\w-]*/gi) ?? [];

describeWithQemu('map with all kinds of arguments', () => {
  let directory: string;
  beforeAll(async () => {
    directory = temporaryDirectory();
    const make = (args: string) => qemuImg(args.split(' '), { cwd: directory });
    const noise = (length: number) => new Uint8Array(length).fill(0x5a);
    mkdirSync(path.join(directory, 'folder'));
    writeFileSync(path.join(directory, 'base.raw'), noise(300_032));
    writeFileSync(path.join(directory, 'folder/base.raw'), noise(65_536));
    writeFileSync(path.join(directory, 'unaligned.raw'), noise(5000));
    writeFileSync(path.join(directory, 'empty.raw'), noise(0));
    writeFileSync(path.join(directory, 'key'), 'open sesame');
    writeFileSync(path.join(directory, 'key64'), 'b3BlbiBzZXNhbWU=');
    writeFileSync(path.join(directory, 'bad-key'), new Uint8Array([0xff, 0xfe]));
    copyFixture('luks', directory);
    const on = 'create -q -f qcow2 -u -F';
    await make('create -q -f qcow2 disk.qcow2 1M');
    await qemuIo(path.join(directory, 'disk.qcow2'), ['write 64k 128k', 'write -z 512k 64k']);
    await make(`${on} raw -b base.raw two.qcow2 500k`);
    await qemuIo(path.join(directory, 'two.qcow2'), ['write 128k 64k', 'discard 0 64k']);
    await make(`${on} qcow2 -b two.qcow2 three.qcow2 1M`);
    await qemuIo(path.join(directory, 'three.qcow2'), ['write 448k 128k', 'write -z 192k 64k']);
    await make(`${on} raw -b unaligned.raw on-unaligned.qcow2 8k`);
    await make(`${on} raw -b missing.raw on-missing.qcow2 1M`);
    await make(`${on} qcow2 -b on-missing.qcow2 on-on-missing.qcow2 1M`);
    await make(`${on} qcow2 -b base.raw on-not-qcow2.qcow2 1M`);
    await make(`${on} raw -b folder on-directory.qcow2 1M`);
    await make(`${on} raw -b file:base.raw on-file-prefix.qcow2 1M`);
    await make(`${on} raw -b foo:bar on-unknown-protocol.qcow2 1M`);
    await make(`${on} raw -b base.raw folder/below.qcow2 1M`);
    await make(`${on} qcow2 -b luks.qcow2 on-luks.qcow2 1M`);
    await make('create -q -f qcow2 -o data_file=data.raw data-file.qcow2 1M');
    await qemuIo('data-file.qcow2', ['write 64k 64k'], { cwd: directory });
    await make('create -q -f qcow2 -o data_file=gone.raw data-missing.qcow2 1M');
    rmSync(path.join(directory, 'gone.raw'));
  });

  test.each(oneInWithEach(4, COMMAND_LINES, optionsOf))('%s', async (line) => {
    const { qemu, ours } = await readBoth(line.split(' '), directory);
    expect(ours).toEqual(qemu);
  });
});
