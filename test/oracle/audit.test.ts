/**
 * Each rule of an audit on two images of QEMU's: one that breaks it and one that keeps it. What QEMU can't be asked to
 * write, such as a feature that nobody knows, is put into its image byte by byte.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { AUDIT_RULES, auditImage, findRule, memoryDevice } from '../../src/index.js';
import type { OptionValues } from '../../src/index.js';
import { isLike } from '../../src/cli/qsnap/patterns.js';
import { fileGate, nodeDecompressor } from '../../src/node/index.js';
import { memoryDirectory } from '../support/directories.js';
import { loadFixture } from '../support/fixture.js';
import { layoutOf } from '../support/image-builder-layout.js';
import { describeWithQemu, qemuImg, qemuIo } from '../support/qemu.js';

const NOW = 2_000_000_000;
const DAY = 86_400;

type Make = (file: string) => Promise<void> | void;

/** An image by qemu-img create, with what a guest wrote. */
const created =
  (options: string, guest: readonly string[] = ['write -P 7 0 1M'], size = '16M'): Make =>
  async (file) => {
    const extra = options === '' ? [] : ['-o', options];
    await qemuImg(['create', '-q', '-f', 'qcow2', ...extra, file, size]);
    if (guest.length > 0) await qemuIo(file, guest);
  };

/** The same, changed afterwards. */
const then =
  (make: Make, ...changes: readonly Make[]): Make =>
  async (file) => {
    await make(file);
    for (const change of changes) await change(file);
  };

const snapshot =
  (...names: readonly string[]): Make =>
  async (file) => {
    for (const name of names) await qemuImg(['snapshot', '-c', name, file]);
  };

/** Bytes put into the file. */
const patched =
  (at: number, ...bytes: readonly number[]): Make =>
  (file) => {
    const image = readFileSync(file);
    image.set(bytes, at);
    writeFileSync(file, image);
  };

const fixture =
  (name: string): Make =>
  (file) => {
    writeFileSync(file, loadFixture(name));
  };

/** QEMU measures for seconds how many rounds take so long: where they do not matter a fixture will do. */
const luks =
  (iterations: number): Make =>
  async (file) => {
    const secret = 'secret,id=key,data=open sesame';
    const options = `encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=${iterations}`;
    await qemuImg(['create', '-q', '--object', secret, '-f', 'qcow2', '-o', options, file, '16M']);
  };

const backedBy =
  (name: string, format = 'raw'): Make =>
  async (file) => {
    const args = ['-u', '-f', 'qcow2', '-b', name, '-F', format];
    await qemuImg(['create', '-q', ...args, file, '16M']);
  };

/** Images beside the image, each the backing file of the next one; the last is the image's own. */
const chainOf =
  (layers: number): Make =>
  async (file) => {
    const lowest = path.join(path.dirname(file), 'layer-1.qcow2');
    await plain(lowest);
    for (let i = 2; i <= layers; i++)
      await backedBy(`layer-${i - 1}.qcow2`, 'qcow2')(layer(file, i));
    await backedBy(`layer-${layers}.qcow2`, 'qcow2')(file);
  };

const layer = (file: string, i: number): string =>
  path.join(path.dirname(file), `layer-${i}.qcow2`);

/** Writes another backing file into a layer, without a look at it. */
const renamed =
  (i: number, name: string, format: string): Make =>
  async (file) => {
    await qemuImg(['rebase', '-q', '-u', '-b', name, '-F', format, layer(file, i)]);
  };

const withoutLayer =
  (i: number): Make =>
  (file) => {
    rmSync(layer(file, i));
  };

/** Takes the recorded format away: the extension becomes one that nobody knows. */
const withoutFormat: Make = (file) => {
  const image = readFileSync(file);
  const at = image.indexOf(Buffer.from('e2792aca', 'hex'));
  image.set([0x12, 0x34, 0x56, 0x78], at);
  writeFileSync(file, image);
};

const EXAMPLE_KEY = 'AKIAIOSFODNN7EXAMPLE';

/** A disk with a key across the border of its first two clusters. */
const withKey = (...changes: readonly Make[]): Make =>
  then(
    created('', []),
    async (file) => {
      const raw = `${file}.raw`;
      writeFileSync(raw, ' '.repeat(65_536 - 7) + EXAMPLE_KEY + ' '.repeat(65_536 - 13));
      await qemuIo(file, [`write -s ${raw} 0 128k`]);
    },
    ...changes,
  );

/** Deletes the only snapshot without a word to the host: its clusters keep their bytes. */
const withoutSnapshot: Make = async (file) => {
  const image = `driver=qcow2,file.filename=${file},pass-discard-snapshot=off`;
  await qemuImg(['snapshot', '--image-opts', '-d', 'a', image]);
};

/** Clusters that only a deleted snapshot had. */
const gaveUp = then(
  created(''),
  snapshot('a'),
  async (file) => {
    await qemuIo(file, ['write -P 9 0 1M']);
  },
  withoutSnapshot,
);

/** Something behind the header, in its cluster. */
const headerSlack: Make = (file) => {
  const image = readFileSync(file);
  const { clusterBytes } = layoutOf(new Uint8Array(image));
  image.fill('an old header', clusterBytes - 64, clusterBytes);
  writeFileSync(file, image);
};

const SECTOR = 512;

/** A disk with a GUID partition table: its protective MBR, one EFI system partition, and the backup at the end. */
function partitioned(bytes: number): Buffer {
  const disk = Buffer.alloc(bytes);
  const last = bytes / SECTOR - 1;
  disk.writeUInt8(0xee, 446 + 4);
  disk.writeUInt16BE(0x55aa, 510);
  const header = (at: number, other: number, entries: number): void => {
    disk.write('EFI PART', at * SECTOR, 'latin1');
    disk.writeBigUInt64LE(BigInt(at), at * SECTOR + 24);
    disk.writeBigUInt64LE(BigInt(other), at * SECTOR + 32);
    disk.writeBigUInt64LE(BigInt(entries), at * SECTOR + 72);
    disk.writeUInt32LE(128, at * SECTOR + 80);
    disk.writeUInt32LE(128, at * SECTOR + 84);
  };
  header(1, last, 2);
  header(last, 1, last - 32);
  disk.write('28732ac11ff8d211ba4b00a0c93ec93b', 2 * SECTOR, 'hex');
  return disk;
}

/** An image of a partitioned disk by qemu-img convert, of which `change` changed bytes before. */
const withPartitions =
  (change: (disk: Buffer) => void = () => undefined): Make =>
  async (file) => {
    const disk = partitioned(16 * 2 ** 20);
    change(disk);
    writeFileSync(`${file}.raw`, disk);
    await qemuImg(['convert', '-q', '-f', 'raw', '-O', 'qcow2', '-c', `${file}.raw`, file]);
  };

/** A disk that was made larger after it was partitioned. */
const grown = then(withPartitions(), async (file) => {
  await qemuImg(['resize', '-q', file, '+1M']);
});

interface Pair {
  readonly breaks: Make;
  readonly keeps: Make;
  readonly options?: OptionValues;
}

const plain = created('');

const PAIRS: Readonly<Record<string, Pair>> = {
  image: {
    breaks: (file) => {
      writeFileSync(file, 'a raw disk');
    },
    keeps: plain,
  },
  snapshots: {
    breaks: then(plain, snapshot('a', 'b')),
    keeps: then(plain, snapshot('a')),
    options: { max: 1 },
  },
  'vm-state': { breaks: fixture('vm-state'), keeps: then(plain, snapshot('a')) },
  'snapshot-names': {
    breaks: then(plain, snapshot('release-1', 'tmp-2')),
    keeps: then(plain, snapshot('release-1', 'release-2')),
    options: { deny: ['tmp-*'], allow: ['release-*', 'tmp-*'] },
  },
  'snapshot-age': {
    breaks: fixture('five-snapshots'),
    keeps: plain,
    options: { max: 30 * DAY },
  },
  'snapshot-name-twice': {
    breaks: fixture('names-duplicate'),
    keeps: then(plain, snapshot('a', 'b')),
  },
  'backing-file': { breaks: backedBy('base.raw'), keeps: plain },
  'data-file': {
    breaks: (file) => created(`data_file=${file}.raw,data_file_raw=on`, [])(file),
    keeps: plain,
  },
  'absolute-name': { breaks: backedBy('/srv/base.raw'), keeps: backedBy('base.raw') },
  'remote-name': { breaks: backedBy('nbd://127.0.0.1:1/x'), keeps: backedBy('file:base.raw') },
  'json-name': {
    breaks: backedBy('json:{"driver":"file","filename":"base.raw"}'),
    keeps: backedBy('base.raw'),
  },
  'backing-format': {
    breaks: then(backedBy('base.raw'), withoutFormat),
    keeps: backedBy('base.raw'),
  },
  'chain-depth': { breaks: chainOf(3), keeps: chainOf(2), options: { max: 2 } },
  'chain-complete': { breaks: then(chainOf(2), withoutLayer(1)), keeps: chainOf(2) },
  'chain-loop': {
    breaks: then(chainOf(2), renamed(1, 'layer-2.qcow2', 'qcow2')),
    keeps: chainOf(1),
  },
  'chain-format': {
    breaks: then(chainOf(2), renamed(2, 'layer-1.qcow2', 'raw')),
    keeps: chainOf(2),
  },
  'unknown-features': {
    breaks: then(plain, patched(80, 0x80)),
    keeps: created('lazy_refcounts=on'),
  },
  dirty: { breaks: then(plain, patched(79, 1)), keeps: plain },
  corrupt: { breaks: then(plain, patched(79, 2)), keeps: plain },
  'lazy-refcounts': { breaks: created('lazy_refcounts=on'), keeps: plain },
  compat: { breaks: created('compat=0.10'), keeps: plain },
  'cluster-size': {
    breaks: created('cluster_size=512'),
    keeps: plain,
    options: { min: 4096, max: 65_536 },
  },
  'refcount-bits': { breaks: created('refcount_bits=1'), keeps: plain },
  'extended-l2': { breaks: created('extended_l2=on'), keeps: plain },
  'compression-type': { breaks: created('compression_type=zstd'), keeps: plain },
  bitmaps: { breaks: fixture('bitmaps-in-use'), keeps: fixture('bitmaps') },
  'disk-size': { breaks: created('', [], '3T'), keeps: plain, options: { max: 2 * 2 ** 40 } },
  'file-size': {
    breaks: created('', ['write 0 4M']),
    keeps: created('', []),
    options: { max: 2 ** 20 },
  },
  'size-ratio': { breaks: created('', [], '8T'), keeps: plain },
  encrypted: { breaks: plain, keeps: fixture('luks') },
  'not-encrypted': { breaks: fixture('luks'), keeps: plain },
  'legacy-aes': { breaks: fixture('aes'), keeps: fixture('luks') },
  'luks-iterations': { breaks: fixture('luks'), keeps: luks(1000), options: { min: 60_000 } },
  'luks-slots': { breaks: fixture('luks'), keeps: plain, options: { max: 0 } },
  corruption: { breaks: fixture('refcount-too-low'), keeps: plain },
  leaks: { breaks: fixture('refcount-leaks'), keeps: plain },
  'not-checked': { breaks: then(plain, snapshot('a'), patched(68, 0, 0xff, 0xff)), keeps: plain },
  'check-notes': { breaks: then(plain, patched(79, 1)), keeps: plain },
  'unreadable-parts': {
    breaks: then(plain, snapshot('a'), patched(68, 0, 0xff, 0xff)),
    keeps: plain,
  },
  fragmentation: {
    breaks: created('', ['write 4M 64k', 'write 2M 64k', 'write 1M 64k', 'write 0 64k']),
    keeps: plain,
  },
  'free-clusters': { breaks: gaveUp, keeps: plain },
  'secrets-left': {
    breaks: withKey(
      snapshot('a'),
      async (file) => {
        await qemuIo(file, ['write -P 9 0 128k']);
      },
      withoutSnapshot,
    ),
    keeps: withKey(snapshot('a')),
  },
  slack: { breaks: then(plain, headerSlack), keeps: plain },
  'gpt-backup': { breaks: grown, keeps: withPartitions() },
  'protective-mbr': {
    breaks: withPartitions((disk) => disk.fill(0, 446, 512)),
    keeps: withPartitions(),
  },
  bootable: { breaks: plain, keeps: withPartitions(), options: { by: ['uefi'] } },
  'readable-by': {
    breaks: then(plain, snapshot('a')),
    keeps: plain,
    options: { readers: ['nbdkit'] },
  },
};

async function brokenBy(
  make: Make,
  name: string,
  options: OptionValues,
): Promise<readonly string[]> {
  const folder = memoryDirectory();
  const file = path.join(folder, 'image.qcow2');
  await make(file);
  const rule = findRule(name)!;
  const policy = {
    rules: new Map([[rule.id, { level: 'error' as const, options }]]),
    exceptions: [],
  };
  const source = memoryDevice(new Uint8Array(readFileSync(file)));
  const { findings } = await auditImage(source, policy, {
    ...{ now: NOW, matches: isLike, decompressor: nodeDecompressor() },
    gate: fileGate({ folder }),
  });
  return findings.map((finding) => finding.rule.name);
}

test('every rule has its two images', () => {
  expect(Object.keys(PAIRS).sort()).toEqual(AUDIT_RULES.map(({ name }) => name).sort());
});

describeWithQemu('an image of QEMU’s', () => {
  describe.each(Object.entries(PAIRS))('%s', (name, { breaks, keeps, options = {} }) => {
    test('that breaks the rule', async () => {
      const found = await brokenBy(breaks, name, options);
      expect(found.length).toBeGreaterThan(0);
      expect(new Set(found)).toEqual(new Set([name]));
    });

    test('that keeps it', async () => {
      expect(await brokenBy(keeps, name, options)).toEqual([]);
    });
  });
});
