/**
 * Exports against QEMU: every fixture's disks byte for byte, and seeded images over cluster sizes,
 * formats and compression. QSNAP_SEED repeats a run.
 */
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyDisk, newRawWriter, openGuestDisk, openImage } from '../../src/index.js';
import { createOutputFile, nodeDecompressor, openFile } from '../../src/node/index.js';
import {
  copyCompanions,
  copyFixture,
  expectedContents,
  fixtureNames,
  recipe,
} from '../support/fixture.js';
import { randomFrom, seedOf, type Random } from '../support/model-random.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage, use } from '../support/made-images.js';
import { IS_PLAIN, leaveOut, oneIn } from '../support/left-out.js';
import {
  contentHash,
  describeWithQemu,
  expectClean,
  fileHash,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { qsnap } from '../cli/qsnap/harness.js';

/** What QEMU reads after all, or reads as zeros; qsnap says what is wrong with it. */
const REFUSED: Readonly<Record<string, string>> = {
  'qcow-version-1': 'QCOW_VERSION_1',
  'feature-incompatible-named': 'UNSUPPORTED_FEATURE',
  'feature-incompatible-unknown': 'UNSUPPORTED_FEATURE',
  'backing-json-name': 'BACKING_REFUSED',
  'backing-missing': 'OPEN_FAILED',
  'l2-past-end': 'IMAGE_DAMAGED',
  'l2-unaligned': 'IMAGE_DAMAGED',
};

/** Disks that hold so much nothing that hashing them would take all day. */
const HASHED_BYTES_MAX = 2 ** 30;

describe('every disk of every fixture, as QEMU recorded it', () => {
  test.each(oneIn(4, fixtureNames()))('%s', async (name) => {
    const directory = memoryDirectory();
    const image = copyFixture(name, directory);
    const flags = copyCompanions(name, directory).length > 0 || name.startsWith('backing');
    const { secret } = recipe(name);
    const key = path.join(directory, 'passphrase');
    writeFileSync(key, `${secret ?? ''}\n`);
    const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
    const args = [
      ...(flags ? ['--backing'] : []),
      ...(secret === undefined ? [] : ['--passphrase-file', key]),
    ];
    const { active, snapshots } = expectedContents(name);
    const disks = [
      { selector: [] as string[], ...active, diskSizeBytes: active.sizeBytes },
      ...snapshots.map((one) => ({ selector: [`id:${one.id}`], ...one })),
    ];
    for (const [index, disk] of disks.entries()) {
      if ((disk.diskSizeBytes ?? 0) > HASHED_BYTES_MAX) {
        leaveOut('disks that are too large to hash');
        continue;
      }
      const out = path.join(directory, `${index}.raw`);
      const ran = await qsnap(['export', '--json', ...args, image, ...disk.selector, '-o', out]);
      const refusal = REFUSED[name];
      // A snapshot has its own tables: what is wrong with the active ones is not its matter.
      if (refusal !== undefined && (refusal !== 'IMAGE_DAMAGED' || index === 0)) {
        expect(JSON.parse(ran.stdout)).toMatchObject({ error: { code: refusal } });
        continue;
      }
      if (ran.stdout.includes('"SNAPSHOT_AMBIGUOUS"')) {
        leaveOut('snapshots that neither id nor name tells from another');
        continue;
      }
      expect(ran, `${name} ${index}`).toMatchObject({ code: 0, stderr: '' });
      expect(statSync(out).size).toBe(disk.diskSizeBytes);
      expect(await fileHash(out), `${name} ${index}`).toBe(disk.sha256);
    }
    expect(readFileSync(image).equals(before.bytes)).toBe(true);
    expect(statSync(image).mtimeMs).toBe(before.mtime);
  });
});

const seed = seedOf();
const holes = memoryDirectory();

/** An image with a history: writes of all kinds, snapshots, and a resize between them. */
async function historied(random: Random, cluster: string, image: string): Promise<void> {
  const diskKiB = 4096 + random.below(64) * 4;
  await makeImage(image, `${diskKiB}k`, `cluster_size=${cluster}`);
  for (const id of ['1', '2', '3']) {
    const commands = Array.from({ length: 12 }, () => {
      const sector = random.below(diskKiB * 2 - 600);
      const length = `${1 + random.below(random.pick([8, 600]))}b`.replace(/(\d+)b/, (_, n) => {
        return String(Number(n) * 512);
      });
      const kind = random.pick(['write -P 0', `write -P ${1 + random.below(255)}`, 'write -z']);
      return `${kind} ${sector * 512} ${length}`;
    });
    await use(image, commands, `snapshot s${id}`);
    if (id === '2') await qemuImg(['resize', '-q', image, `+${random.below(2000) + 1}k`]);
  }
}

const TYPES = [[], ['-c'], ['--compress=zstd']] as const;

describeWithQemu(`exports of seeded images (seed ${seed})`, () => {
  test.each(['512', '4k', '64k', '2M'])('A2: clusters of %s', async (cluster) => {
    const random = randomFrom(seed + cluster.length);
    const directory = memoryDirectory();
    const image = path.join(directory, 'disk.qcow2');
    await historied(random, cluster, image);
    for (const [index, id] of [undefined, '1', '2', '3'].entries()) {
      const wanted = await contentHash(image, id);
      const selector = id === undefined ? [] : [`id:${id}`];
      const raw = path.join(directory, 'out.raw');
      const ran = await qsnap(['export', '--force', image, ...selector, '-o', raw]);
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      expect(await fileHash(raw)).toBe(wanted);
      const out = path.join(directory, 'out.qcow2');
      for (const type of oneIn(3, TYPES, seed + cluster.length + index)) {
        const size = random.pick(['512', '4K', '64K', '1M', '2M']);
        const args = ['export', '--force', image, ...selector, '-o', out, '--cluster-size', size];
        expect(await qsnap([...args, ...type])).toMatchObject({ code: 0, stderr: '' });
        await expectClean(out);
        expect(await contentHash(out), `${cluster} to ${size} ${type.join()}`).toBe(wanted);
      }
    }
  });

  let shared: Promise<string> | undefined;
  /** One image for all runs of zeros. */
  async function imageWithHoles(): Promise<string> {
    const image = path.join(holes, 'disk.qcow2');
    await historied(randomFrom(seed), '64k', image);
    // QEMU always writes the first block of a new raw file; and where an image has holes it may hold
    // its clusters for preallocated ones. Neither is of interest here.
    await qemuIo(image, ['write -P 7 0 4k']);
    writeFileSync(image, readFileSync(image));
    return image;
  }

  test.each(['512', '1k', '4k', '8k', '12k', '64k', '1M'])('holes by -S %s', async (run) => {
    const directory = memoryDirectory();
    const image = await (shared ??= imageWithHoles());
    const theirs = path.join(directory, 'theirs.raw');
    await qemuImg(['convert', '-f', 'qcow2', '-O', 'raw', '-S', run, image, theirs]);
    const ours = path.join(directory, 'ours.raw');
    const source = await openFile(image);
    const disk = await openGuestDisk(await openImage(source), { decompressor: nodeDecompressor() });
    const output = await createOutputFile(ours);
    const writer = await newRawWriter(output.device, await disk.sizeBytes());
    const scale = run.endsWith('k') ? 1024 : run.endsWith('M') ? 1024 ** 2 : 1;
    await copyDisk(disk, writer, { zeroRunBytes: parseInt(run) * scale });
    await writer.finish();
    await output.commit();
    await source.close();
    const mapOf = async (file: string): Promise<unknown> => {
      return JSON.parse((await qemuImg(['map', '--output=json', '-f', 'raw', file])).stdout);
    };
    expect(await mapOf(ours)).toEqual(await mapOf(theirs));
    expect(await fileHash(ours)).toBe(await fileHash(theirs));
  });
});

const PAIRS = IS_PLAIN ? 8 : 20;

describeWithQemu(`comparisons of seeded pairs (seed ${seed})`, () => {
  test('qsnap and qemu-img agree whether two disks are the same, and where they differ', async () => {
    const random = randomFrom(seed);
    const directory = memoryDirectory();
    const image = path.join(directory, 'disk.qcow2');
    await historied(random, '4k', image);
    const raw = path.join(directory, 'disk.raw');
    await qemuImg(['convert', '-f', 'qcow2', '-O', 'raw', image, raw]);
    const changed = path.join(directory, 'changed.raw');
    for (let round = 0; round < PAIRS; round += 1) {
      copyFileSync(raw, changed);
      let bytes = readFileSync(changed);
      const flips = random.below(4);
      const places = Array.from({ length: flips }, () => random.below(bytes.length));
      for (const place of places) bytes[place] = bytes[place]! ^ (1 + random.below(255));
      if (random.chance(0.3)) bytes = Buffer.concat([bytes, Buffer.alloc(512 * random.below(9))]);
      writeFileSync(changed, bytes);
      const original = readFileSync(raw);
      const differing = [...new Set(places)].filter((at) => bytes[at] !== original[at]);
      const ours = await qsnap(['compare', '--json', image, changed]);
      const args = ['compare', '-f', 'qcow2', '-F', 'raw', image, changed];
      const theirs = await qemuImg(args, { okCodes: [0, 1] });
      expect(ours.code, `round ${round}`).toBe(theirs.code);
      const report = JSON.parse(ours.stdout) as Record<string, number>;
      const first = differing.length === 0 ? undefined : Math.min(...differing);
      expect(report['first-difference']).toBe(first);
      const sectors = new Set(differing.map((at) => Math.floor(at / 512)));
      expect(report['different-bytes']).toBe(sectors.size * 512);
    }
  });

  test('two snapshots of one image differ as their contents do', async () => {
    const directory = memoryDirectory();
    const image = path.join(directory, 'disk.qcow2');
    await historied(randomFrom(seed), '64k', image);
    const files: Record<string, string> = {};
    for (const id of ['1', '2', '3']) {
      files[id] = path.join(directory, `${id}.raw`);
      await qsnap(['export', image, `id:${id}`, '-o', files[id]]);
    }
    for (const [a, b] of [
      ['1', '2'],
      ['2', '3'],
      ['3', '3'],
      ['1', '3'],
    ] as const) {
      const within = await qsnap(['compare', '--json', image, '-s', `id:${a}`, '-w', `id:${b}`]);
      const across = await qsnap(['compare', '--json', files[a]!, files[b]!]);
      expect(within.code).toBe(across.code);
      const facts = (text: string): object => {
        const report = JSON.parse(text) as Record<string, unknown>;
        return [
          report['same'],
          report['first-difference'],
          report['ranges'],
          report['range-count'],
        ];
      };
      expect(facts(within.stdout)).toEqual(facts(across.stdout));
    }
  });
});
