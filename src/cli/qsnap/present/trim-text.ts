import type { TrimPlan, TrimReport } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText, sizeText } from '../../text.js';

/** What a trim would do. */
export function plannedTrimLines(path: string, plan: TrimPlan): readonly string[] {
  const { freeBytes, tailBytes, shortestBytes, leakedClusters } = plan.facts;
  const { fileSizeBytes, endBytes } = plan;
  const length =
    endBytes < fileSizeBytes
      ? `the file of ${sizeText(fileSizeBytes)} would become ${sizeText(endBytes)} long`
      : `the file would stay ${sizeText(fileSizeBytes)} long`;
  return [
    `${printableText(path)}: ${sizeText(freeBytes)} in free clusters, and ${sizeText(tailBytes)} behind the last one in use.`,
    `  A trim would give back what of it is no hole yet; ${length}.`,
    ...(shortestBytes < endBytes
      ? [`  With --relocate it could come down to about ${sizeText(shortestBytes)}.`]
      : []),
    ...leakLines(leakedClusters),
  ];
}

/** What a trim did. */
export function trimmedLines(path: string, report: TrimReport): readonly string[] {
  const { fileSizeBefore, fileSizeBytes, movedBytes, steps, leakedClusters } = report;
  const length =
    fileSizeBytes < fileSizeBefore
      ? `the file is ${sizeText(fileSizeBytes)} long, it was ${sizeText(fileSizeBefore)}`
      : `the file is ${sizeText(fileSizeBytes)} long as before`;
  const moved = `  moved ${sizeText(movedBytes)} to the front in ${countText(steps, 'step')}`;
  return [
    `Trimmed ${printableText(path)}: ${givenBackText(report)}; ${length}.`,
    ...(steps > 0 ? [moved] : []),
    ...leakLines(leakedClusters),
  ];
}

function givenBackText({ allocatedBefore, allocatedBytes }: TrimReport): string {
  if (allocatedBefore === undefined || allocatedBytes === undefined) {
    return 'free clusters were given back';
  }
  const bytes = allocatedBefore - allocatedBytes;
  return bytes > 0 ? `${sizeText(bytes)} given back` : 'nothing to give back';
}

function leakLines(leakedClusters: number): readonly string[] {
  if (leakedClusters === 0) return [];
  const stay = leakedClusters === 1 ? 'stays' : 'stay';
  return [
    `  ${countText(leakedClusters, 'leaked cluster')} ${stay}: \`qsnap repair IMAGE leaks\` frees what is leaked`,
  ];
}
