/** Holes of raw files, and of files with preallocated images, are those that qemu-img sees. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { memoryDirectory, temporaryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { describeUnless, oneIn } from '../support/left-out.js';
import {
  describeWithQemu,
  expectIdentical,
  qemuAvailable,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { editBoth, madeByBoth, ourOutcome, readBoth } from './parity.js';

const KiB = 1024;
const MiB = 2 ** 20;

/** What is written to a file of a certain length: [from, length, byte]. */
interface Plan {
  readonly bytes: number;
  readonly writes: readonly (readonly [from: number, length: number, byte: number])[];
}

const PLANS: Record<string, Plan> = {
  'empty.raw': { bytes: 0, writes: [] },
  'all-hole.raw': { bytes: 3 * MiB, writes: [] },
  'all-hole-odd.raw': { bytes: 3 * MiB + 77, writes: [] },
  'all-data.raw': { bytes: MiB, writes: [[0, MiB, 7]] },
  'zeros-written.raw': { bytes: MiB, writes: [[256 * KiB, 256 * KiB, 0]] },
  'all-zeros-written.raw': { bytes: 300_032, writes: [[0, 300_032, 0]] },
  'hole-first.raw': { bytes: 4 * MiB, writes: [[3 * MiB, MiB, 1]] },
  'hole-last.raw': { bytes: 4 * MiB, writes: [[0, MiB, 1]] },
  'hole-between.raw': {
    bytes: 8 * MiB,
    writes: [
      [0, 64 * KiB, 1],
      [5 * MiB, 3 * MiB, 2],
    ],
  },
  'odd-data-last.raw': { bytes: 2 * MiB + 100, writes: [[2 * MiB - 4096, 4196, 3]] },
  'odd-hole-last.raw': { bytes: 2 * MiB + 100, writes: [[MiB, 4 * KiB, 3]] },
  'one-byte-each.raw': {
    bytes: 2 * MiB,
    writes: Array.from({ length: 40 }, (_, i) => [i * 50_000 + i, 1, 0x80 + i] as const),
  },
  'long.raw': {
    bytes: 2 ** 40,
    writes: [
      [2 ** 33, 4 * MiB, 5],
      [2 ** 40 - MiB, MiB, 0],
    ],
  },
};

function make(directory: string, name: string): void {
  const { bytes, writes } = PLANS[name]!;
  const fd = openSync(path.join(directory, name), 'wx');
  ftruncateSync(fd, bytes);
  for (const [from, length, byte] of writes) {
    writeSync(fd, new Uint8Array(length).fill(byte), 0, length, from);
  }
  closeSync(fd);
}

const MEDIA = [
  ['a disk', temporaryDirectory],
  ['memory', memoryDirectory],
] as const;

describeWithQemu('a command that reads a raw file', () => {
  describe.each(MEDIA)('on %s', (where, newDirectory) => {
    const medium = MEDIA.findIndex(([name]) => name === where);
    let directory: string;
    const same = async (line: string): Promise<void> => {
      const { qemu, ours } = await readBoth(line.split(' '), directory);
      expect(ours, line).toEqual(qemu);
    };
    beforeAll(() => {
      directory = newDirectory();
      for (const name of Object.keys(PLANS)) make(directory, name);
    });

    test.each(Object.keys(PLANS))('%s', async (name) => {
      const others = ['all-hole.raw', 'zeros-written.raw', 'hole-between.raw', name];
      const lines = [
        `map --output=json -f raw ${name}`,
        `map -f raw ${name}`,
        `map --output=json -f raw -s 1234567 -l 2345678 ${name}`,
        `measure -f raw -O qcow2 ${name}`,
        `measure -f raw -O qcow2 -o cluster_size=4k --output=json ${name}`,
        `info -f raw ${name}`,
        `info -f raw --output=json ${name}`,
        ...others.flatMap((other) => [
          `compare -f raw -F raw -p ${name} ${other}`,
          `compare -f raw -F raw -s ${other} ${name}`,
        ]),
      ];
      const row = Object.keys(PLANS).indexOf(name) + medium * 100;
      for (const line of oneIn(4, lines, row)) await same(line);
    });

    test('below an image', async () => {
      const on = ['-b', 'hole-between.raw', '-F', 'raw', 'over.qcow2', '8M'];
      await createImage(on, directory);
      await qemuIo(path.join(directory, 'over.qcow2'), ['write -P 9 1M 128k', 'write -z 5M 64k']);
      await same('map --output=json over.qcow2');
      await same('map over.qcow2');
      await same('measure -O qcow2 over.qcow2');
      await same('compare -F raw over.qcow2 hole-between.raw');
    });
  });
});

describeWithQemu('a copy of a raw file', () => {
  const short = Object.keys(PLANS).filter((name) => PLANS[name]!.bytes < 2 ** 30);

  test.each(oneIn(2, short))('%s', async (name) => {
    for (const format of ['raw', 'qcow2']) {
      const argv = ['convert', '-p', '-f', 'raw', '-O', format, name, 'out'];
      const pair = await editBoth(argv, temporaryDirectory(), (directory) => {
        make(directory, name);
      });
      expect(pair.ours).toEqual(pair.qemu);
      const [theirs, ours] = madeByBoth(pair, 'out');
      if (format === 'raw') {
        expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
      } else {
        await qemuImg(['check', ours]);
        await expectIdentical(theirs, ours, ['-s']);
      }
    }
  });

  test('over a backing file that ends before a hole of a cluster', async () => {
    const options = ['-O', 'qcow2', '-o', 'extended_l2=on', '-B', 'below', '-F', 'raw'];
    const argv = ['convert', ...options, 'source', 'out'];
    const pair = await editBoth(argv, temporaryDirectory(), async (cwd) => {
      await qemuImg(['create', '-q', '-f', 'raw', 'below', '300k'], { cwd });
      const on = ['-b', 'below', '-F', 'raw', 'dense', '1M'];
      await createImage(on, cwd);
      await qemuIo('dense', ['write -P 1 600k 4k', 'write -P 2 128k 4k'], { cwd });
      execFileSync('cp', ['--sparse=always', 'dense', 'source'], { cwd });
    });
    expect(pair.ours).toEqual(pair.qemu);
    const [theirs, ours] = madeByBoth(pair, 'out');
    await qemuImg(['check', ours]);
    await expectIdentical(theirs, ours, ['-s']);
  });

  test('a very long one has what it had', async () => {
    const directory = temporaryDirectory();
    make(directory, 'long.raw');
    const argv = ['convert', '-f', 'raw', '-O', 'qcow2', 'long.raw', 'out.qcow2'];
    expect(await ourOutcome(argv, directory)).toMatchObject({ code: 0, stderr: '' });
    const [out, long] = ['out.qcow2', 'long.raw'].map((file) => path.join(directory, file));
    await qemuImg(['check', out!]);
    await expectIdentical(out!, long!, ['-F', 'raw']);
  });
});

describeWithQemu('room that was only reserved', () => {
  const same = async (line: string, cwd: string): Promise<void> => {
    const { qemu, ours } = await readBoth(line.split(' '), cwd);
    expect(ours, line).toEqual(qemu);
  };

  // A file of which the file system has reserved all is as long as the room that it takes.
  test.each([
    ['all of a file', ['-l', '4M']],
    ['a part of a file', ['-o', '1M', '-l', '1M']],
    ['room behind its end', ['-n', '-o', '3M', '-l', '8M']],
  ])('%s', async (_, options) => {
    const cwd = temporaryDirectory();
    const file = path.join(cwd, 'reserved.raw');
    closeSync(openSync(file, 'wx'));
    truncateSync(file, 4 * MiB);
    execFileSync('fallocate', [...options, file]);
    await same('map --output=json -f raw reserved.raw', cwd);
    await same('measure -f raw -O qcow2 reserved.raw', cwd);
    const fd = openSync(file, 'r+');
    writeSync(fd, new Uint8Array(MiB / 2).fill(1), 0, MiB / 2, MiB + 4096);
    closeSync(fd);
    execFileSync('fallocate', ['-p', '-o', '2M', '-l', '64K', file]);
    for (const line of ['map --output=json -f raw', 'measure -f raw -O qcow2', 'info -f raw']) {
      await same(`${line} reserved.raw`, cwd);
    }
  });

  test.each(['off', 'falloc', 'full'])('by create -o preallocation=%s', async (kind) => {
    const cwd = temporaryDirectory();
    const options = ['-o', `preallocation=${kind}`, 'disk.raw', '3M'];
    await qemuImg(['create', '-q', '-f', 'raw', ...options], { cwd });
    await same('map --output=json -f raw disk.raw', cwd);
    await same('map -f raw disk.raw', cwd);
    await same('compare -f raw -F raw -s disk.raw disk.raw', cwd);
  });
});

describeWithQemu('preallocated images', () => {
  const LINES = [
    'map --output=json',
    'map',
    'measure -O qcow2 -o cluster_size=4k',
    'info',
    'check',
    'compare -s empty.qcow2',
  ];

  async function sameOf(options: string, size: string, commands: readonly string[]): Promise<void> {
    const cwd = temporaryDirectory();
    await createImage(['empty.qcow2', size], cwd);
    await createImage(['-o', options, 'disk.qcow2', size], cwd);
    for (const writes of [[], commands]) {
      if (writes.length > 0) await qemuIo('disk.qcow2', writes, { cwd });
      for (const line of oneIn(3, LINES, options.length + writes.length)) {
        const { qemu, ours } = await readBoth([...line.split(' '), 'disk.qcow2'], cwd);
        expect(ours, `${line}, after ${writes.length} writes`).toEqual(qemu);
      }
    }
  }

  const WRITES = ['write -P 1 1M 100k', 'write -P 0 3M 64k', 'write -z 5M 1M', 'write 7M 4k'];

  test.each([
    'preallocation=metadata',
    'preallocation=falloc',
    'preallocation=full',
    'preallocation=metadata,cluster_size=512',
    'preallocation=metadata,cluster_size=2M,extended_l2=on',
    'preallocation=metadata,data_file=data.raw',
    'preallocation=falloc,data_file=data.raw,data_file_raw=on',
  ])('%s', async (options) => {
    await sameOf(options, '16M', WRITES);
  });

  test('in a file of more than 16 GiB', async () => {
    await sameOf('preallocation=metadata', '20G', [...WRITES, 'write -P 3 19G 1M']);
  });
});

/** Why there may be no block device here. */
function lackOfDevices(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may make loop devices';
  const { status } = spawnSync('losetup', ['-f'], { stdio: 'ignore' });
  return status === 0 ? undefined : 'there are no loop devices';
}

const lack = qemuAvailable ? lackOfDevices() : 'qemu-img is not installed';

describeUnless(lack, 'QSNAP_REQUIRE_MACHINES', 'a block device', () => {
  // A device's node takes no room of its own: it was taken for one single hole, and copied as zeros.
  test('has no holes, and what is on it is copied', async () => {
    const directory = temporaryDirectory();
    make(directory, 'hole-between.raw');
    const file = path.join(directory, 'hole-between.raw');
    const device = execFileSync('losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
    onTestFinished(() => {
      execFileSync('losetup', ['-d', device]);
    });
    for (const line of ['map --output=json', 'map', 'measure -O qcow2', 'info']) {
      const argv = [...line.split(' '), '-f', 'raw', device];
      const { qemu, ours } = await readBoth(argv, directory);
      expect(ours, line).toEqual(qemu);
    }
    const argv = ['convert', '-f', 'raw', '-O', 'raw', device, 'copy'];
    expect(await ourOutcome(argv, directory)).toMatchObject({ code: 0, stderr: '' });
    const copy = readFileSync(path.join(directory, 'copy'));
    expect(copy.equals(readFileSync(file))).toBe(true);
  });
});
