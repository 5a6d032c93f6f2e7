import { clustersToHold } from '../../base/units.js';
import { claimedDisks, openForCheck, type CheckedImage } from '../../image/open-for-check.js';
import { tableFormat } from '../../image/table-format.js';
import type { BlockSource } from '../../io/device.js';
import { stoppable } from '../../io/stoppable.js';
import { FindingCollector } from './collector.js';
import { judgeRefcounts } from './judge-refcounts.js';
import { checkCopiedFlags } from './copied-flags.js';
import { countReferences, type References } from './count-references.js';
import {
  checkBehindTable,
  checkHeader,
  checkSnapshotTable,
  checkTables,
  checkVmState,
} from './judge-structures.js';
import { findLosses, LOOK_BYTES } from './losses.js';
import { checkOverlaps } from './overlaps.js';
import { withOwners } from './owners.js';
import { withHints } from './pointer-hints.js';
import type {
  CheckExitCode,
  CheckOptions,
  CheckReport,
  CheckTotals,
  QemuFailure,
} from './report.js';
import { checkRefcountTable } from './judge-refcount-table.js';

const MAX_FINDINGS = 1000;

/**
 * Checks an image. Counts every reference to every host cluster, compares the counts with the stored refcounts,
 * and judges every table entry. Nothing is written, and no file that the image names is opened.
 *
 * Memory: a fixed part of less than 16 MiB (`test/package/memory.test.ts`), 8 bytes for each L2 table, and for each host
 * cluster of the file:
 *
 * - 2 bits, and as many as the highest count has;
 * - one bit more if snapshots have tables with other than plain entries;
 * - one or more bits more if the image is damaged.
 *
 * ```ts
 * const { exitCode, findings } = await checkImage(device);
 * for (const { code, severity, message } of findings) console.log(severity, code, message);
 * ```
 *
 * @throws QsnapError NOT_QCOW2 and the other `image` codes where the image can't be opened at all,
 *   READ_FAILED, ABORTED.
 */
export async function checkImage(
  source: BlockSource,
  options: CheckOptions = {},
): Promise<CheckReport> {
  const read = stoppable(source, options.signal, 'the check');
  return checkOpened(await openForCheck(read), options);
}

/** `checkImage` of an image that is open; the signal is for who opens it. */
export async function checkOpened(
  checked: CheckedImage,
  options: Omit<CheckOptions, 'signal'> = {},
): Promise<CheckReport> {
  const { image } = checked;
  const format = tableFormat(image);
  const collector = new FindingCollector(options.maxFindings ?? MAX_FINDINGS);
  const progress = options.onProgress ?? ((): void => undefined);
  checkHeader(checked, collector);
  checkSnapshotTable(checked, collector);
  const references = await countReferences(image, format, collector, (done) => {
    progress(done * 0.7);
  });
  const { counter } = references;
  const table = await checkRefcountTable(image, format.fileClusters, counter, collector);
  const disks = claimedDisks(checked);
  const overlapped = await checkOverlaps(image, table, references, disks, collector);
  await checkBehindTable(checked, table, references, collector);
  const { end, excess } = await judgeRefcounts(image, table, counter, collector);
  progress(0.8);
  await checkCopiedFlags(image, table, references, collector);
  checkTables(references, collector);
  await checkVmState(image, collector);
  const { ownersHidden, unreferenced } = await findLosses(
    checked,
    references,
    table,
    excess,
    { overlapped, lookBytes: options.lookBytes ?? LOOK_BYTES },
    collector,
  );
  if (ownersHidden) collector.doubtLeaks();
  const { findings, leftOut } = collector.finish();
  const explained =
    options.owners === false
      ? findings
      : await withHints(
          image,
          references,
          excess,
          await withOwners(image, table, references, findings),
        );
  progress(1);
  const totals = totalsOf(checked, references, end, collector);
  const qemuFailure = failureOf(checked, references.bitmapFailure);
  const qemuExitCode = qemuFailure === undefined ? exitCodeOf(totals) : 1;
  return {
    totals,
    beyondQemu: {
      corruptions: collector.beyondQemu.corruption,
      notes: collector.beyondQemu.note,
    },
    ownersHidden,
    ownersUnreadable: collector.ownersHidden.unreadable,
    unreferenced,
    cutOff: references.cutOff.missing,
    qemuFailure,
    qemuExitCode,
    exitCode: collector.losesData && qemuExitCode !== 1 ? 2 : qemuExitCode,
    findings: explained,
    findingsLeftOut: leftOut.reduce((sum, { count }) => sum + count, 0),
    codesLeftOut: leftOut,
    snapshots: { read: checked.listed.snapshots.length, claimed: checked.pointer.claimed },
  };
}

function totalsOf(
  { image }: CheckedImage,
  { layout }: References,
  endCluster: number,
  { counts }: FindingCollector,
): CheckTotals {
  const { geometry, header } = image;
  const sectors = Math.floor(header.diskSizeBytes / 512);
  return {
    checkErrors: counts['check-error'],
    corruptions: counts.corruption,
    leaks: counts.leak,
    imageEndOffset: endCluster * geometry.clusterBytes,
    totalClusters: clustersToHold(sectors * 512, geometry.clusterBytes),
    allocatedClusters: layout.allocated,
    fragmentedClusters: layout.fragmented,
    compressedClusters: layout.compressed,
  };
}

function exitCodeOf({ checkErrors, corruptions, leaks }: CheckTotals): CheckExitCode {
  if (checkErrors > 0) return 1;
  if (corruptions > 0) return 2;
  return leaks > 0 ? 3 : 0;
}

/** Where QEMU gives up: it reads the snapshot table whole or checks nothing. */
function failureOf(
  { image, pointer, table, refcountTableProblem, bitmapsProblem }: CheckedImage,
  bitmaps: References['bitmapFailure'],
): QemuFailure | undefined {
  const cause = refcountTableProblem ?? bitmapsProblem;
  if (cause !== undefined) return { when: 'open', error: 'Invalid argument', cause };
  if (bitmaps !== undefined) return { when: bitmaps, error: 'Invalid argument' };
  const { rawExternalData, externalDataFile } = image.header;
  const hasName = image.extensions.some(({ kind }) => kind === 'data-file-name');
  if (externalDataFile && !hasName) return { when: 'open', error: 'Invalid argument' };
  if (rawExternalData && !externalDataFile) return { when: 'open', error: 'Invalid argument' };
  if (pointer.problem === 'too-many') return { when: 'check', error: 'File too large' };
  if (pointer.problem !== undefined) return { when: 'check', error: 'Invalid argument' };
  // QEMU reads such an L1 at a negative offset.
  const negative = table.faults.some(
    ({ field, value, l1Entries }) => field === 'l1-offset' && value >= 2n ** 63n && l1Entries > 0,
  );
  if (negative && table.stop === undefined) return { when: 'check', error: 'Input/output error' };
  return table.stop === undefined ? undefined : { when: 'check', error: 'File too large' };
}
