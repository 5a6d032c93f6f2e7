/** What a scan finds in a hostile file, and what is brought back of it. */
import {
  checkImage,
  imageWithCandidate,
  isDiskCandidate,
  openGuestDisk,
  openImage,
  planRecovery,
  recoveredRanges,
  scanImage,
  writeRescued,
  type Candidate,
  type RecoveredRange,
  type ScanReport,
} from '../../../src/index.js';
import { carvedRange } from '../../../src/internal.js';
import { nodeDecompressor } from '../../../src/node/index.js';
import type { Meter } from './meter.js';
import { judgeText } from './reads.js';
import { SpecimenDevice, specimenOf, type Specimen } from './specimen.js';

/** Disks that are read of one file. */
const DISKS = 2;
/** Ranges that are asked for of one disk. */
const RANGES_MAX = 100_000;
/** A file of which all that can be brought back is written. */
const COPIED_BYTES = 2 ** 20;

/** Scans the file, and brings back some of what was found. */
export async function scanForRemains(
  device: SpecimenDevice,
  specimen: Specimen,
  meter: Meter,
): Promise<void> {
  const report = await meter.use('scanImage', () => scanImage(device));
  if (report === undefined) return;
  for (const { reason } of report.unread) judgeText('scanImage', reason.message, meter);
  for (const [i, candidate] of report.candidates.entries()) {
    judgeCandidate(report, candidate, i + 1, meter);
  }
  const disks = report.candidates.filter(isDiskCandidate).slice(0, DISKS);
  for (const candidate of report.hasHeader ? disks : []) {
    await recover(device, specimen, report, candidate, meter);
  }
}

function judgeCandidate(
  report: ScanReport,
  candidate: Candidate,
  number: number,
  meter: Meter,
): void {
  const { plausibility, at, reasons, machine } = candidate;
  const { fileSizeBytes } = report;
  const isSound =
    candidate.number === number &&
    Number.isInteger(plausibility) &&
    plausibility >= 0 &&
    plausibility <= 100 &&
    reasons.every(({ found, all }) => found >= 0 && found <= all);
  if (!isSound) meter.fault('scanImage', `candidate ${number}: ${JSON.stringify(candidate)}`);
  const carved = carvedRange(report, candidate);
  if (carved.at !== at || carved.length < 0 || at + carved.length > fileSizeBytes) {
    meter.fault('carvedRange', `${carved.length} bytes at ${at} of ${fileSizeBytes}`);
  }
  judgeText('scanImage', machine ?? '', meter);
}

async function recover(
  device: SpecimenDevice,
  specimen: Specimen,
  report: ScanReport,
  candidate: Candidate,
  meter: Meter,
): Promise<void> {
  const reused = await meter.use('recoveredRanges', () => rangesOf(report, candidate));
  await meter.use('read what is recovered', async () => {
    const { image, snapshot } = imageWithCandidate(report.basis, candidate);
    const onLost = (): void => undefined;
    const decompressor = nodeDecompressor();
    const disk = await openGuestDisk(image, { snapshot, onLost, decompressor });
    const length = Math.min(await disk.sizeBytes(), 65_536);
    await disk.readBatch([{ at: 0, into: new Uint8Array(length) }]);
    await disk.close();
  });
  if (reused === undefined || specimen.sizeBytes > COPIED_BYTES) return;
  const planned = await meter.use('planRecovery', () => planRecovery(device, candidate, reused));
  if (planned === undefined) return;
  const copy = new SpecimenDevice(specimenOf(new Uint8Array(0)));
  const { plan, disks, recovered } = planned;
  const written = await meter.use('recover', () => writeRescued(plan, disks, copy));
  if (written === undefined) return;
  await meter.use('open what is recovered', async () => {
    const { snapshots } = await openImage(copy);
    // A header that names another table by a flipped bit makes an active disk of it.
    if (snapshots.length === 0 && recovered.kind !== 'active') {
      throw new Error('the snapshot is not in the copy');
    }
    const { totals } = await checkImage(copy);
    if (totals.corruptions + totals.leaks + totals.checkErrors > 0) {
      throw new Error(`the copy is not sound: ${JSON.stringify(totals)}`);
    }
  });
}

/** Those that hold something else now; all of them follow each other without gaps, to the end of the disk. */
async function rangesOf(report: ScanReport, candidate: Candidate): Promise<RecoveredRange[]> {
  const { snapshot } = imageWithCandidate(report.basis, candidate);
  const reused: RecoveredRange[] = [];
  let [end, count] = [0, 0];
  for await (const range of recoveredRanges(report.basis, snapshot, candidate.beside)) {
    if (range.start !== end || range.length <= 0) {
      throw new Error(`a range at ${range.start}, expected ${end}`);
    }
    end += range.length;
    count += 1;
    if (range.state === 'reused') reused.push(range);
    if (count > RANGES_MAX) return reused;
  }
  if (end < snapshot.diskSizeBytes) {
    throw new Error(`the ranges end at ${end} of ${snapshot.diskSizeBytes}`);
  }
  return reused;
}
