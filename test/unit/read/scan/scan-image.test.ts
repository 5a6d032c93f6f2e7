/** What a scan finds in images that lost snapshots without punching, and in clusters that hold something else. */
import { expect, test } from 'vitest';
import {
  imageWithCandidate,
  isDiskCandidate,
  memoryDevice,
  openGuestDisk,
  openImage,
  planRecovery,
  recoveredRanges,
  scanImage,
  withoutReused,
  writeRescued,
  checkImage,
  type Candidate,
  type BlockSource,
  type RecoveredRange,
  type ScanReport,
} from '../../../../src/index.js';
import { carvedRange } from '../../../../src/read/scan/carved-range.js';
import { loadFixture } from '../../../support/fixture.js';
import { layoutOf } from '../../../support/image-builder.js';
import {
  blockAt,
  putRefcountAt,
  putU32,
  putU64,
  refcountOf,
} from '../../../support/image-builder-layout.js';
import { deletedUnpunched } from '../../../support/unpunched.js';

const NAME = 'clean install';
const CLUSTER = 65_536;

const scanned = (bytes: Uint8Array): Promise<ScanReport> => scanImage(memoryDevice(bytes));

const emptied = (name = NAME): Promise<Uint8Array> =>
  deletedUnpunched(loadFixture('five-snapshots'), name);

const ofKind = (report: ScanReport, kind: Candidate['kind']): readonly Candidate[] =>
  report.candidates.filter((one) => one.kind === kind);

/** The image with clusters behind its end. */
function withTail(bytes: Uint8Array, ...clusters: readonly Uint8Array[]): Uint8Array {
  const end = Math.ceil(bytes.length / CLUSTER) * CLUSTER;
  const longer = new Uint8Array(end + clusters.length * CLUSTER);
  longer.set(bytes);
  for (const [i, one] of clusters.entries()) longer.set(one, end + i * CLUSTER);
  return longer;
}

/** The bytes of the disk of the snapshot that was deleted. */
async function diskNamed(device: BlockSource): Promise<Buffer> {
  const image = await openImage(device);
  const snapshot = image.snapshots.find(({ name }) => name === NAME)!;
  const into = new Uint8Array(snapshot.diskSizeBytes);
  await (await openGuestDisk(image, { snapshot })).readBatch([{ at: 0, into }]);
  return Buffer.from(into.buffer);
}

async function rangesOf(report: ScanReport, candidate: Candidate): Promise<RecoveredRange[]> {
  const { snapshot } = imageWithCandidate(report.basis, candidate);
  const ranges: RecoveredRange[] = [];
  for await (const range of recoveredRanges(report.basis, snapshot, candidate.beside)) {
    ranges.push(range);
  }
  return ranges;
}

test('a deleted snapshot is found by its entry, with what it has in common with the others', async () => {
  const report = await scanned(await emptied());
  const [found] = report.candidates;
  expect(found).toMatchObject({ number: 1, kind: 'snapshot', where: 'free', plausibility: 95 });
  expect(found!.snapshot!.name).toBe(NAME);
  // The old table lists the four that are still there.
  expect(found!.beside).toHaveLength(4);
  expect(found!.fates!.kept).toBeGreaterThan(0);
  const ranges = await rangesOf(report, found!);
  // All that it shares it shares with snapshots that were there together with it.
  expect(new Set(ranges.map(({ why }) => why))).toEqual(new Set(['kept', 'held', 'none']));
  expect(ranges.at(-1)!.start + ranges.at(-1)!.length).toBe(4 * 2 ** 20);
});

test('its disk reads as it did; put back into a copy it is sound', async () => {
  const whole = memoryDevice(loadFixture('five-snapshots'));
  const source = memoryDevice(await emptied());
  const report = await scanImage(source);
  const found = report.candidates[0]!;
  const { image, snapshot } = imageWithCandidate(report.basis, found);
  const disk = await openGuestDisk(image, { snapshot });
  const before = await openImage(whole);
  const was = await openGuestDisk(before, {
    snapshot: before.snapshots.find(({ name }) => name === NAME)!,
  });
  const [now, then] = [new Uint8Array(4 * 2 ** 20), new Uint8Array(4 * 2 ** 20)];
  await disk.readBatch([{ at: 0, into: now }]);
  await was.readBatch([{ at: 0, into: then }]);
  expect(Buffer.compare(now, then)).toBe(0);
  const { plan, disks, recovered } = await planRecovery(source, found, []);
  expect(recovered.root.snapshot!.name).toBe(NAME);
  const copy = memoryDevice();
  await writeRescued(plan, disks, copy);
  expect((await checkImage(copy)).totals).toMatchObject({ corruptions: 0, leaks: 0 });
});

test('ranges that were overwritten read as zeros, and nothing beside them', async () => {
  const device = memoryDevice(Uint8Array.from({ length: 4096 }, (_, i) => 1 + (i % 200)));
  const disk = Object.assign(device, {}) as never;
  const view = withoutReused(disk, [
    { at: 100, length: 50 },
    { at: 1000, length: 24 },
  ]);
  const into = new Uint8Array(1200);
  await view.readBatch([{ at: 90, into }]);
  expect(into.findIndex((byte) => byte === 0)).toBe(10);
  expect(into.filter((byte) => byte === 0)).toHaveLength(74);
  expect(withoutReused(disk, [])).toBe(disk);
});

test('what the image has taken for something else is given up, table by table', async () => {
  const bytes = await emptied();
  const report = await scanned(bytes);
  const found = report.candidates[0]!;
  const whole = await rangesOf(report, found);
  const kept = whole.find(({ why }) => why === 'kept')!;
  const source = memoryDevice(bytes);
  const reused: RecoveredRange[] = [{ ...kept, state: 'reused', why: 'reused' }];
  const { plan, disks, recovered } = await planRecovery(source, found, reused);
  expect(recovered.lostBytes).toBe(kept.length);
  const copy = memoryDevice();
  await writeRescued(plan, disks, copy);
  const image = await openImage(copy);
  const snapshot = image.snapshots.find(({ name }) => name === NAME)!;
  const disk = await openGuestDisk(image, { snapshot });
  const into = new Uint8Array(kept.length).fill(7);
  await disk.readBatch([{ at: kept.start, into }]);
  expect(into.every((byte) => byte === 0)).toBe(true);
  const lost: RecoveredRange[] = [
    { start: 0, length: 4 * 2 ** 20, state: 'reused', why: 'table-reused' },
  ];
  expect((await planRecovery(source, found, lost)).recovered.tablesLost).toBe(1);
});

/**
 * A machine that goes on saving and deleting overwrites the L2 table of an older VM state. A disk of one L2 table has an L1
 * of two entries then, and one of them leads to no table: too few for a rescue to believe it by itself.
 */
test('a disk that was asked for comes back into a copy, though half of its L1 leads to no table', async () => {
  const bytes = await emptied();
  const before = (await scanned(bytes)).candidates[0]!;
  const garbage = Math.ceil(bytes.length / CLUSTER) * CLUSTER;
  const { at, entries } = before.l1!;
  expect(entries).toBe(1);
  putU32(bytes, before.at + 8, 2);
  putU64(bytes, at + 8, BigInt(garbage));
  const source = memoryDevice(withTail(bytes, new Uint8Array(CLUSTER).fill(0xa5)));
  const report = await scanImage(source);
  const found = report.candidates.find(({ l1 }) => l1?.at === at && l1.entries === 2)!;
  expect(found.snapshot!.name).toBe(NAME);
  const reused = (await rangesOf(report, found)).filter(({ state }) => state === 'reused');
  // All of the disk is there: only what lay behind it is not.
  expect(reused).toMatchObject([{ start: 512 * 2 ** 20, why: 'table-reused' }]);
  const { plan, disks, recovered } = await planRecovery(source, found, reused);
  expect(recovered.root.snapshot).toMatchObject({ name: NAME });
  expect(recovered).toMatchObject({ tablesFound: 1, tablesLost: 1, lostBytes: 0 });
  const copy = memoryDevice();
  await writeRescued(plan, disks, copy);
  expect((await checkImage(copy)).totals).toMatchObject({ corruptions: 0, leaks: 0 });
  const whole = await diskNamed(memoryDevice(loadFixture('five-snapshots')));
  expect((await diskNamed(copy)).equals(whole)).toBe(true);
});

test('entries that an L1 table left of an old snapshot table are found behind its end', async () => {
  const bytes = await emptied();
  const old = (await scanned(bytes)).candidates[0]!;
  const entry = bytes.slice(old.at, old.at + Math.ceil(old.bytes / 8) * 8);
  // Where it lay before nothing is left of it.
  bytes.fill(0, old.at, old.at + entry.length);
  const { l1At, l1Entries } = layoutOf(bytes);
  const at = l1At + l1Entries * 8 + 16;
  bytes.set(entry, at);
  const found = ofKind(await scanned(bytes), 'snapshot');
  expect(found).toMatchObject([{ at, where: 'slack', snapshot: { name: NAME } }]);
  expect(found[0]!.plausibility).toBeGreaterThan(60);
  // A rescue does not look there, and knows its L1 table without a name.
  const { recovered } = await planRecovery(memoryDevice(bytes), found[0]!, []);
  expect(recovered.root.snapshot).toMatchObject({ name: NAME, id: found[0]!.snapshot!.id });
});

test('older states of the image leave L1, L2 and refcount tables', async () => {
  const report = await scanned(await emptied('release candidate'));
  expect(ofKind(report, 'l1-table').length + ofKind(report, 'l2-table').length).toBeGreaterThan(0);
  for (const one of ofKind(report, 'refcount-table')) {
    expect(one.reasons[0]!.code).toBe('leads-to-refcounts');
  }
  expect(ofKind(report, 'snapshot-table')[0]!.reasons).toEqual([
    { code: 'entry-parses', found: 5, all: 5 },
    { code: 'entry-listed', found: 4, all: 5 },
  ]);
  expect(report.candidates.filter(isDiskCandidate).every(({ l1 }) => l1 !== undefined)).toBe(true);
});

test('a copy of a refcount block behind the end agrees with the one in use', async () => {
  const bytes = loadFixture('five-snapshots');
  const block = blockAt(bytes, layoutOf(bytes), 0);
  const copy = bytes.slice(block, block + CLUSTER);
  const report = await scanned(withTail(bytes, copy));
  expect(ofKind(report, 'refcount-block')).toMatchObject([{ where: 'tail', plausibility: 90 }]);
});

test('a VM state and its description are told by how they begin', async () => {
  const head = new Uint8Array(CLUSTER).fill(0x55);
  putU32(head, 0, 0x5145_564d);
  putU32(head, 4, 3);
  head[8] = 7;
  putU32(head, 9, 12);
  head.set(new TextEncoder().encode('pc-q35-11.1\0'.slice(0, 12)), 13);
  const nameless = head.slice();
  putU32(nameless, 9, 4000);
  const end = new Uint8Array(CLUSTER).fill(0x22);
  end.set(new TextEncoder().encode('{"page_size": 4096, "devices": ['), 777);
  const bytes = withTail(loadFixture('five-snapshots'), nameless, end, head, end);
  const report = await scanned(bytes);
  const streams = ofKind(report, 'vm-state');
  expect(streams.map(({ plausibility }) => plausibility).sort()).toEqual([60, 60]);
  expect(ofKind(report, 'vm-state-end').map(({ at }) => at % CLUSTER)).toEqual([778, 778]);
  putU32(head, 9, 11);
  const named = ofKind(await scanned(withTail(bytes, head)), 'vm-state');
  expect(named[0]).toMatchObject({ machine: 'pc-q35-11.1', plausibility: 95 });
  // The first goes on up to the next of its kind, the last to the end.
  const inOrder = [...streams].sort((a, b) => a.at - b.at);
  expect(inOrder.map((one) => carvedRange(report, one).length)).toEqual([2 * CLUSTER, 2 * CLUSTER]);
  expect(carvedRange(report, ofKind(report, 'vm-state-end')[0]!).length).toBe(CLUSTER);
});

test('a header says what it says; one of nothing is hardly one', async () => {
  const bytes = loadFixture('five-snapshots');
  const inner = new Uint8Array(CLUSTER).fill(1);
  inner.set(bytes.subarray(0, 512));
  const junk = new Uint8Array(CLUSTER).fill(0xee);
  putU32(junk, 0, 0x5146_49fb);
  const headers = ofKind(await scanned(withTail(bytes, inner, junk)), 'header');
  expect(headers).toMatchObject([
    { plausibility: 95, header: { version: 3, clusterBytes: CLUSTER, diskSizeBytes: 4 * 2 ** 20 } },
    { plausibility: 10 },
  ]);
});

test('a few numbers that look like entries count for chance', async () => {
  const cluster = new Uint8Array(CLUSTER);
  putU64(cluster, 8, BigInt(5 * CLUSTER));
  putU64(cluster, 24, BigInt(6 * CLUSTER) | (1n << 63n));
  const report = await scanned(withTail(loadFixture('no-snapshots'), cluster));
  expect(report.candidates.every(({ plausibility }) => plausibility <= 20)).toBe(true);
  expect(report.dataBytes).toBe(CLUSTER);
});

test('an image that lost nothing has nothing to find', async () => {
  for (const name of ['no-snapshots', 'vm-state', 'compressed-zlib', 'extended-l2', 'bitmaps']) {
    const report = await scanned(loadFixture(name));
    expect(
      report.candidates.filter(({ plausibility }) => plausibility > 20),
      name,
    ).toEqual([]);
  }
});

test('without a header nothing is in use, and no disk can be read', async () => {
  const bytes = await emptied();
  bytes.fill(0, 0, 512);
  const report = await scanned(bytes);
  expect(report.hasHeader).toBe(false);
  expect(ofKind(report, 'snapshot').length).toBeGreaterThanOrEqual(5);
  expect(() => imageWithCandidate(report.basis, report.candidates[0]!)).toThrow('without a header');
  await expect(scanned(new Uint8Array(100_000))).rejects.toMatchObject({ code: 'NOT_QCOW2' });
  const given = await scanImage(memoryDevice(bytes), { clusterBytes: CLUSTER });
  expect(given.candidates.map(({ at }) => at)).toEqual(report.candidates.map(({ at }) => at));
});

test('what is no disk can not be recovered', async () => {
  const bytes = await emptied();
  const report = await scanned(bytes);
  const table = ofKind(report, 'snapshot-table')[0]!;
  expect(() => imageWithCandidate(report.basis, table)).toThrow(
    expect.objectContaining({ code: 'CANDIDATE_INVALID' }) as Error,
  );
  await expect(planRecovery(memoryDevice(bytes), table, [])).rejects.toMatchObject({
    code: 'CANDIDATE_INVALID',
  });
  // What another image had.
  const elsewhere = { ...report.candidates[0]!, l1: { at: 3 * CLUSTER + 8, entries: 1 } };
  await expect(planRecovery(memoryDevice(bytes), elsewhere, [])).rejects.toMatchObject({
    code: 'CANDIDATE_INVALID',
    message: 'nothing of candidate 1 can be put into an image',
  });
});

test('of a cluster that counts as used and that nothing refers to nobody knows who had it last', async () => {
  const bytes = await emptied();
  const layout = layoutOf(bytes);
  for (let cluster = 0; cluster < bytes.length / CLUSTER; cluster += 1) {
    const isFree = refcountOf(bytes, layout, cluster) === 0n;
    if (isFree) putRefcountAt(bytes, blockAt(bytes, layout, cluster), 16, cluster, 1n);
  }
  const report = await scanned(bytes);
  expect(report.candidates[0]!.where).toBe('leaked');
  const ranges = await rangesOf(report, report.candidates[0]!);
  expect(ranges.some(({ state, why }) => state === 'unknown' && why === 'doubtful')).toBe(true);
  expect(ranges.some(({ why }) => why === 'kept')).toBe(false);
});

test('what was written over its tables is never taken for its disk', async () => {
  const whole = await emptied();
  const found = (await scanned(whole)).candidates[0]!;
  const l2At = Number(new DataView(whole.buffer).getBigUint64(found.l1!.at) % 2n ** 56n);
  const text = whole.slice();
  text.set(new TextEncoder().encode('a letter'.repeat(100)), l2At);
  const lost = await scanned(text);
  const [first] = await rangesOf(lost, lost.candidates[0]!);
  expect(first).toMatchObject({ state: 'reused', why: 'table-reused', length: 4 * 2 ** 20 });
  // One entry that can't be right puts the whole table in doubt.
  const odd = whole.slice();
  odd.set([0xff], l2At);
  const doubted = await scanned(odd);
  const states = (await rangesOf(doubted, doubted.candidates[0]!)).map(({ state }) => state);
  expect(states).not.toContain('candidate');
  // So does an L1 table in the place of which the image has something else.
  const l1Reused = whole.slice();
  putU64(l1Reused, layoutOf(whole).l1At + 8, BigInt(found.l1!.at) | (1n << 63n));
  putU32(l1Reused, 36, 2);
  const reused = await scanned(l1Reused);
  const candidate = reused.candidates.find(({ snapshot }) => snapshot?.name === NAME)!;
  expect(candidate.plausibility).toBeLessThanOrEqual(10);
  expect(new Set((await rangesOf(reused, candidate)).map(({ state }) => state))).toEqual(
    new Set(['reused']),
  );
});
