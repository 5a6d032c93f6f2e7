/** What `check` says on stdout: how much was found, and how much was repaired. */
import type { CheckTotals } from '../../../index.js';
import type { Tree } from '../json.js';
import { CHECK } from '../messages/check.js';
import type { Target } from '../disks/target.js';

/** How much was repaired. */
export interface Fixed {
  readonly leaks: number;
  readonly corruptions: number;
}

export function humanLines(totals: CheckTotals, fixed: Fixed): string[] {
  const { corruptions, leaks, checkErrors, allocatedClusters, totalClusters } = totals;
  const isFine = corruptions + leaks + checkErrors === 0;
  const { fragmentedClusters, compressedClusters, imageEndOffset } = totals;
  return [
    ...(fixed.leaks + fixed.corruptions === 0
      ? []
      : CHECK.repaired(fixed.leaks, fixed.corruptions)),
    ...(isFine ? [CHECK.noErrors] : []),
    ...(corruptions > 0 ? CHECK.corruptions(corruptions) : []),
    ...(leaks > 0 ? CHECK.leaks(leaks) : []),
    ...(checkErrors > 0 ? CHECK.checkErrors(checkErrors) : []),
    ...(totalClusters > 0 && allocatedClusters > 0
      ? [
          `${allocatedClusters}/${totalClusters} = ` +
            `${percent(allocatedClusters, totalClusters)}% allocated, ` +
            `${percent(fragmentedClusters, allocatedClusters)}% fragmented, ` +
            `${percent(compressedClusters, allocatedClusters)}% compressed clusters`,
        ]
      : []),
    ...(imageEndOffset > 0 ? [`Image end offset: ${imageEndOffset}`] : []),
  ];
}

/** Two places, ties to the even digit, as printf rounds. */
function percent(part: number, whole: number): string {
  const hundredths = (part * 10_000) / whole;
  const below = Math.floor(hundredths);
  const isTie = hundredths - below === 0.5;
  const rounded = isTie && below % 2 === 0 ? below : Math.round(hundredths);
  return (rounded / 100).toFixed(2);
}

/** Members in the order that QEMU prints them, as measured; those that are 0 are left out. */
export function jsonTree(totals: CheckTotals, fixed: Fixed, target: Target): Tree {
  const members: readonly (readonly [key: string, value: Tree])[] = [
    ['image-end-offset', totals.imageEndOffset],
    ['compressed-clusters', totals.compressedClusters],
    ['total-clusters', totals.totalClusters],
    ['corruptions', totals.corruptions],
    ['check-errors', totals.checkErrors],
    ['leaks', totals.leaks],
    ['corruptions-fixed', fixed.corruptions],
    ['leaks-fixed', fixed.leaks],
    ['allocated-clusters', totals.allocatedClusters],
    // Options are told as they were given.
    ['filename', target.operand],
    ['format', 'qcow2'],
    ['fragmented-clusters', totals.fragmentedClusters],
  ];
  return Object.fromEntries(
    members.filter(([key, value]) => value !== 0 || key === 'check-errors'),
  );
}
