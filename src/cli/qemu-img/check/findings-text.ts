/** What `check` says on stderr: each finding, and what a repair made of it. */
import type { CheckReport, Finding } from '../../../index.js';
import { CHECK, findingText } from '../messages/check.js';
import { INCONSISTENT_BITMAPS_WARNING } from '../messages.js';
import type { QemuImgIo } from '../disks/io.js';
import type { Fixed } from './totals-text.js';

const REFCOUNTS =
  /^(?:REFCOUNT_ZERO|REFCOUNT_TOO_LOW|REFCOUNT_TOO_HIGH|REFCOUNT_UNREADABLE|CLUSTER_LEAKED|CLUSTER_PERHAPS_LOST|REFERENCES_PERHAPS_LOST)$/;

const COPIED = /^L[12]_COPIED/;

/** QEMU's passes: the snapshot table as it is read, all other tables, refcounts, COPIED flags. */
function passOf({ code }: Finding): number {
  if (code === 'SNAPSHOT_EXTRA_MISSING') return 0;
  if (REFCOUNTS.test(code)) return 2;
  return COPIED.test(code) ? 3 : 1;
}

/** In the order of QEMU's passes; refcounts by cluster. */
function inQemusOrder(findings: readonly Finding[]): readonly Finding[] {
  const clusterOf = (finding: Finding): number =>
    REFCOUNTS.test(finding.code) ? (finding.cluster ?? 0) : 0;
  return findings.toSorted((a, b) => passOf(a) - passOf(b) || clusterOf(a) - clusterOf(b));
}

const NEEDS_REBUILD =
  /^(?:REFCOUNT_ZERO|REFCOUNT_UNREADABLE|REFCOUNT_BLOCK_SHARED|REFCOUNT_TABLE_)/;
/** QEMU mends them with the refcounts, and says no more of them. */
const MENDED_WITH_COUNTS = /^REFCOUNT_(?!BLOCK_PAST_END)/;

/**
 * What there is to tell of an image, before and after its repair. Once refcounts are right, a COPIED flag that agrees with
 * the new one was never wrong, and QEMU looks at flags last.
 */
export interface Told {
  readonly found: CheckReport;
  readonly findings: readonly Finding[];
  /** Undefined where nothing was repaired. */
  readonly isFixed: ((finding: Finding) => boolean) | undefined;
}

/** @param before undefined where nothing was to be repaired. */
export function toldOf(found: CheckReport, before: CheckReport | undefined): Told {
  if (before === undefined) return { found, findings: found.findings, isFixed: undefined };
  const placeOf = ({ code, cluster }: Finding): string =>
    REFCOUNTS.test(code) ? `${code} ${cluster}` : code;
  const left = new Set(found.findings.map(placeOf));
  const isFixed = (finding: Finding): boolean => !left.has(placeOf(finding));
  const counts = new Map(
    before.findings.filter(({ code }) => REFCOUNTS.test(code)).map((one) => [one.cluster, one]),
  );
  const isRight = ({ code, cluster }: Finding): boolean => {
    const count = counts.get(cluster);
    if (count === undefined || !COPIED.test(code) || !isFixed(count)) return false;
    return (count.expected === 1) === code.endsWith('SET');
  };
  return { found, findings: before.findings.filter((one) => !isRight(one)), isFixed };
}

/** What the double check finds no longer. */
export function fixedOf(
  { found, findings, isFixed }: Told,
  before: CheckReport | undefined,
): Fixed {
  if (before === undefined || isFixed === undefined) return { leaks: 0, corruptions: 0 };
  const untold = timesOf(before.findings) - timesOf(findings);
  const { leaks, corruptions } = before.totals;
  return {
    leaks: Math.max(0, leaks - found.totals.leaks),
    corruptions: Math.max(0, corruptions - untold - found.totals.corruptions),
  };
}

const timesOf = (findings: readonly Finding[]): number =>
  findings.reduce((sum, { times }) => sum + times, 0);

/** Findings go to stderr whatever is asked of stdout; a table that is visited again, again. */
export function printFindings({ findings, isFixed }: Told, io: QemuImgIo): void {
  if (findings.some(({ code }) => code === 'BITMAPS_STALE')) {
    io.warn(INCONSISTENT_BITMAPS_WARNING, '');
  }
  const told = inQemusOrder(findings).filter((one) => !one.beyondQemu && one.severity !== 'note');
  const isCount = (finding: Finding): boolean => passOf(finding) === 2;
  const passes = [
    told.filter((one) => passOf(one) < 2),
    told.filter(isCount),
    told.filter((one) => passOf(one) > 2),
  ];
  let isFirstUnreadable = true;
  passes.forEach((pass, i) => {
    for (const finding of pass) {
      const text = findingText(finding, isFirstUnreadable, io.tell);
      const isUnreadable = finding.code === 'REFCOUNT_UNREADABLE';
      if (isUnreadable) isFirstUnreadable = false;
      const isMended =
        !MENDED_WITH_COUNTS.test(finding.code) && !isCount(finding) && isFixed?.(finding) === true;
      const said = isMended ? CHECK.repairing(text) : text;
      for (let i = 0; i < (isUnreadable ? 1 : finding.times); i++) io.printError(`${said}\n`);
    }
    if (i === 1 && isFixed !== undefined) printCounts(told.filter(isFixed), io);
  });
}

/** How refcounts were repaired: all of them anew, or one by one. */
function printCounts(fixed: readonly Finding[], io: QemuImgIo): void {
  if (fixed.some(({ code }) => NEEDS_REBUILD.test(code))) {
    io.printError(`${CHECK.rebuilding}\n`);
    return;
  }
  for (const finding of fixed.filter(({ code }) => REFCOUNTS.test(code))) {
    io.printError(`${CHECK.repairing(findingText(finding, false, io.tell))}\n`);
  }
}
