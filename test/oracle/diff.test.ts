/**
 * Differences of disks that QEMU makes over all options, with snapshots and other sizes in between: all of them are those
 * that plain loops over every cluster find, hold for the bytes as QEMU reads them, and make one disk of the other.
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  copyDifferences,
  diffDisks,
  newQcow2Writer,
  newRawWriter,
  openImage,
  type DiffRange,
  type GuestDisk,
  type OpenImage,
  type Snapshot,
} from '../../src/index.js';
import { createOutputFile, openFile } from '../../src/node/index.js';
import { coveringOptions, diskBytesOf, nameOfOptions } from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import {
  guestCommands,
  makeTwins,
  onImage,
  openDisk,
  qemuIoWithKey,
  type Twins,
} from '../support/model-twin.js';
import { temporaryDirectory } from '../support/directories.js';
import { partBytesOf, plainDiff } from '../support/plain-diff.js';
import { describeWithQemu, expectClean, qemuImg } from '../support/qemu.js';

const seed = seedOf();
const rounds = roundsOf(3);

/** A disk of the image, and its bytes as QEMU read them when it was the active one. */
interface KnownDisk {
  /** Undefined: the active disk. */
  readonly name: string | undefined;
  readonly content: Uint8Array;
}

describeWithQemu('differences of generated images', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  // LUKS takes QEMU seconds, and changes nothing in tables.
  const options = coveringOptions(randomFrom(seed), rounds, ({ encryption }) => {
    return encryption !== 'luks';
  });
  for (const [i, chosen] of options.entries()) {
    test(`${i}: ${nameOfOptions(chosen)}`, async () => {
      const own = randomFrom(seed + i);
      const twins = await makeTwins(temporaryDirectory(), chosen, own);
      const disks = await history(twins, own);
      const source = await openFile(twins.ours);
      try {
        const image = await openImage(source);
        const bytes = new Uint8Array(readFileSync(twins.ours));
        for (const a of disks) {
          for (const b of disks) await expectTrueDiff(image, bytes, a, b);
        }
        const [a, b] = [own.pick(disks), own.pick(disks)];
        await expectContent(image, bytes, a, b);
        for (const from of disks) await expectPatched(twins, image, from, own.pick(disks));
      } finally {
        await source.close();
      }
    });
  }
});

/** A guest writes, snapshots are taken, and the disk gets other sizes where QEMU does that. */
async function history(twins: Twins, own: Random): Promise<readonly KnownDisk[]> {
  const { options, ours } = twins;
  const disks: KnownDisk[] = [];
  let diskBytes = diskBytesOf(options);
  for (let step = 0; step < 4; step += 1) {
    if (step > 0 && own.chance(0.5)) {
      const bytes = Math.floor((diskBytesOf(options) * (0.5 + own.below(100) / 100)) / 512) * 512;
      const shrink = bytes < diskBytes ? ['--shrink'] : [];
      const { code } = await onImage(twins, ours, ['resize', ...shrink], [String(bytes)]);
      if (code === 0) diskBytes = bytes;
    }
    for (let session = 0; session < 2; session += 1) {
      await qemuIoWithKey(twins, ours, guestCommands(own, options, diskBytes));
    }
    const content = await contentOf(twins);
    if (step === 3) disks.push({ name: undefined, content });
    else {
      const { code } = await onImage(twins, ours, ['snapshot', '-c', `s${step}`]);
      if (code === 0) disks.push({ name: `s${step}`, content });
    }
  }
  return disks;
}

async function contentOf(twins: Twins): Promise<Uint8Array> {
  const raw = path.join(twins.directory, 'content.raw');
  const { code, stderr } = await onImage(twins, twins.ours, ['convert', '-O', 'raw'], [raw]);
  expect(code, stderr).toBe(0);
  return new Uint8Array(readFileSync(raw));
}

function snapshotOf(image: OpenImage, { name }: KnownDisk): Snapshot | undefined {
  return image.snapshots.find((snapshot) => snapshot.name === name);
}

async function ranges(batches: AsyncIterable<readonly DiffRange[]>): Promise<DiffRange[]> {
  const found: DiffRange[] = [];
  for await (const batch of batches) found.push(...batch);
  return found;
}

/** The bytes of a disk, with zeros behind its end. */
function padded({ content }: KnownDisk, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(length, content.length));
  bytes.set(content);
  return bytes;
}

async function expectTrueDiff(
  image: OpenImage,
  bytes: Uint8Array,
  a: KnownDisk,
  b: KnownDisk,
): Promise<void> {
  const title = `${a.name ?? 'active'} to ${b.name ?? 'active'}`;
  const [one, two] = [snapshotOf(image, a), snapshotOf(image, b)];
  const hasBacking = image.backingNameBytes !== undefined;
  const found = await ranges(diffDisks(image, one, two));
  expect(found, title).toEqual(plainDiff(bytes, one?.index, two?.index, hasBacking));
  const before = padded(a, b.content.length);
  const after = padded(b, a.content.length);
  let at = 0;
  for (const { start, length, kind } of [...found, { start: after.length, length: 0, kind: '' }]) {
    // What is not told is the same on both.
    const [ours, others] = [before.subarray(at, start), after.subarray(at, start)];
    expect(Buffer.compare(ours, others), `${title}: ${at} to ${start}`).toBe(0);
    at = start + length;
    if (kind !== 'zeroed' && (kind !== 'unmapped' || hasBacking)) continue;
    const isZero = after.subarray(start, at).every((byte) => byte === 0);
    expect(isZero, `${title}: ${kind} at ${start}`).toBe(true);
  }
}

async function withDisk<T>(
  image: OpenImage,
  known: KnownDisk,
  use: (disk: GuestDisk) => Promise<T>,
): Promise<T> {
  const disk = await openDisk(image, snapshotOf(image, known));
  try {
    return await use(disk);
  } finally {
    await disk.close();
  }
}

async function expectContent(
  image: OpenImage,
  bytes: Uint8Array,
  a: KnownDisk,
  b: KnownDisk,
): Promise<void> {
  const [one, two] = [snapshotOf(image, a), snapshotOf(image, b)];
  const part = partBytesOf(bytes);
  const before = padded(a, b.content.length);
  const after = padded(b, a.content.length);
  const expected: DiffRange[] = [];
  for (const { start, length, kind } of await ranges(diffDisks(image, one, two))) {
    for (let at = start; at < start + length;) {
      const to = Math.min(start + length, (Math.floor(at / part) + 1) * part);
      const isSame = Buffer.compare(before.subarray(at, to), after.subarray(at, to)) === 0;
      const told = isSame ? 'same-content' : kind;
      const last = expected.at(-1);
      if (last?.kind === told && last.start + last.length === at) {
        expected[expected.length - 1] = { ...last, length: last.length + to - at };
      } else expected.push({ start: at, length: to - at, kind: told });
      at = to;
    }
  }
  const found = await withDisk(image, a, (left) =>
    withDisk(image, b, (right) =>
      ranges(diffDisks(image, one, two, { content: { a: left, b: right } })),
    ),
  );
  expect(found).toEqual(expected);
}

/** The overlay on one disk, and the raw patch over its bytes, are the other disk. */
async function expectPatched(
  { directory }: Twins,
  image: OpenImage,
  a: KnownDisk,
  b: KnownDisk,
): Promise<void> {
  const title = `${a.name ?? 'active'} to ${b.name ?? 'active'}`;
  const [one, two] = [snapshotOf(image, a), snapshotOf(image, b)];
  const at = (file: string): string => path.join(directory, file);
  writeFileSync(at('a.raw'), a.content);
  const diskSizeBytes = b.content.length;
  await withDisk(image, b, async (disk) => {
    const patch = await createOutputFile(at('patch.qcow2'), { replace: true });
    const { clusterBytes, l2EntryBytes } = image.geometry;
    const writer = await newQcow2Writer(patch.device, {
      ...{ diskSizeBytes, version: 3, clusterBytes, refcountBits: 16, lazyRefcounts: false },
      ...{ extendedL2: l2EntryBytes === 16, compressionType: 'zlib' },
      backing: { name: new TextEncoder().encode('a.raw'), format: 'raw' },
    });
    const report = await copyDifferences(disk, diffDisks(image, one, two), writer);
    await writer.finish();
    await patch.commit();
    const told = await ranges(diffDisks(image, one, two));
    const changed = told.reduce(
      (sum, { start, length }) => sum + Math.max(0, Math.min(diskSizeBytes - start, length)),
      0,
    );
    expect(report.dataBytes + report.zeroBytes, title).toBeGreaterThanOrEqual(changed);
    const raw = await createOutputFile(at('patch.raw'), { replace: true });
    const rawWriter = await newRawWriter(raw.device, diskSizeBytes);
    await copyDifferences(disk, diffDisks(image, one, two), rawWriter);
    await rawWriter.finish();
    await raw.commit();
    const patched = padded(a, diskSizeBytes).subarray(0, diskSizeBytes);
    const parts = readFileSync(at('patch.raw'));
    expect(parts.length).toBe(diskSizeBytes);
    for (const { start, length } of told) {
      if (start < diskSizeBytes) patched.set(parts.subarray(start, start + length), start);
    }
    expect(Buffer.compare(patched, b.content), title).toBe(0);
  });
  await expectClean(at('patch.qcow2'));
  const whole = ['convert', '-f', 'qcow2', '-O', 'raw', at('patch.qcow2'), at('patched.raw')];
  await qemuImg(whole);
  expect(Buffer.compare(readFileSync(at('patched.raw')), b.content), title).toBe(0);
}
