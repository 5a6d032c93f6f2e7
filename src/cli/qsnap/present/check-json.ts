import type { CheckReport, CheckTotals, Finding, Owner, Unreferenced } from '../../../index.js';
import { adviceOf } from '../advice.js';

/** The numbers of a check, by the names of `qemu-img check --output=json`. */
export function totalsJson(totals: CheckTotals): Record<string, number> {
  return {
    'check-errors': totals.checkErrors,
    corruptions: totals.corruptions,
    leaks: totals.leaks,
    'image-end-offset': totals.imageEndOffset,
    'total-clusters': totals.totalClusters,
    'allocated-clusters': totals.allocatedClusters,
    'fragmented-clusters': totals.fragmentedClusters,
    'compressed-clusters': totals.compressedClusters,
  };
}

/** What a check found, but for its findings. docs/schema/check.json. */
export function reportJson(report: CheckReport): Record<string, unknown> {
  return {
    format: 'qcow2',
    ...totalsJson(report.totals),
    'beyond-qemu': report.beyondQemu,
    'exit-code': report.exitCode,
    'qemu-exit-code': report.qemuExitCode,
    snapshots: report.snapshots,
    ...(report.unreferenced !== undefined && {
      unreferenced: unreferencedJson(report.unreferenced),
    }),
    'findings-left-out': report.findingsLeftOut,
    ...(report.codesLeftOut.length > 0 && { 'codes-left-out': report.codesLeftOut }),
  };
}

function unreferencedJson({ notLookedAt, ...seen }: Unreferenced): Record<string, number> {
  return { ...seen, 'not-looked-at': notLookedAt };
}

/** One of the findings. */
export function findingJson(finding: Finding): Record<string, unknown> {
  const { cluster, found, expected } = finding;
  return {
    code: finding.code,
    severity: finding.severity,
    'beyond-qemu': finding.beyondQemu,
    structure: finding.structure,
    offset: finding.at,
    ...(cluster !== undefined && { cluster }),
    times: finding.times,
    ...(found !== undefined && { found }),
    ...(expected !== undefined && { expected }),
    message: finding.message,
    consequence: finding.consequence,
    remedy: finding.remedy,
    advice: adviceOf(finding),
    ...(finding.hint !== undefined && { hint: finding.hint }),
    owners: finding.owners.map(ownerJson),
    'owners-left-out': finding.ownersLeftOut,
  };
}

function ownerJson({ kind, snapshot, at, guestOffset }: Owner): Record<string, unknown> {
  return {
    kind,
    ...(snapshot !== undefined && { snapshot }),
    offset: at,
    ...(guestOffset !== undefined && { 'guest-offset': guestOffset }),
  };
}
