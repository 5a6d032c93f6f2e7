/** How operands, backing files and formats are named, against QEMU. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { ourOutcome, qemuOutcome } from './parity.js';

const LINES = `
info file:x:y
info --output=json file:x:y
check file:x:y
check --output=json file:x:y
map file:x:y
snapshot -l file:x:y
info ./x:y
info x:y
info file:no:file
info --image-opts driver=qcow2,file.filename=x:y
check --output=json --image-opts driver=qcow2,file.filename=x:y
info over-colon
info --output=json over-colon
info --backing-chain over-colon
map --output=json over-colon
info empty-format
info --output=json empty-format
info --backing-chain empty-format
map empty-format
info unknown-format
info --output=json unknown-format
info --backing-chain unknown-format
map unknown-format
create -f qcow2 -u -o backing_file=plain,,help,backing_fmt=qcow2 new 1M
create -f qcow2 -o backing_file=plain,,help new
create -f qcow2 -o size=1M,,help,backing_fmt=qcow2 new
create -f qcow2 -o a,,help new
create -f qcow2 -o a,,b new
create -f qcow2 -o size,,2M new
create -f qcow2 -o lazy_refcounts,,compat=1.1 new 1M
create -f qcow2 -o nolazy_refcounts new 1M
info --image-opts driver,,x
info --image-opts driver=qcow2,,file.filename=plain
`
  .trim()
  .split('\n');

const directory = memoryDirectory();

describeWithQemu('names', () => {
  beforeAll(async () => {
    const create = async (...argv: string[]): Promise<void> => {
      await qemuImg(['create', '-q', '-f', 'qcow2', ...argv], { cwd: directory });
    };
    await create('plain', '1M');
    await create('./x:y', '1M');
    await create('-F', 'qcow2', '-b', 'file:x:y', 'over-colon');
    await create('-F', 'qcow2', '-b', 'plain', 'unknown-format');
    await create('-F', 'qcow2', '-b', 'plain', 'empty-format');
    patchFormat('unknown-format', (bytes, at) => {
      bytes.write('qcowX', at + 8, 'latin1');
    });
    // What follows of the format becomes an extension that nobody knows.
    patchFormat('empty-format', (bytes, at) => {
      bytes.writeUInt32BE(0, at + 4);
      bytes.writeUInt32BE(0xdeadbeef, at + 8);
    });
  });

  test.each(LINES)('%s', async (line) => {
    const argv = line.split(' ');
    const qemu = await qemuOutcome(argv, directory);
    expect(await ourOutcome(argv, directory)).toEqual(qemu);
  });
});

function patchFormat(name: string, patch: (bytes: Buffer, at: number) => void): void {
  const file = path.join(directory, name);
  const bytes = readFileSync(file);
  patch(bytes, bytes.indexOf('e2792aca', 0, 'hex'));
  writeFileSync(file, bytes);
}
