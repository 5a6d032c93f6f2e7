import type { TrimPlan, TrimReport } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText, sizeText } from '../../text.js';

/** What a trim would do. */
export function plannedTrimLines(path: string, plan: TrimPlan): readonly string[] {
  const { freeBytes, tailBytes, shortestBytes, leakedClusters } = plan.facts;
  const { fileSizeBytes, endBytes } = plan;
  const shorter = endBytes < fileSizeBytes ? ` becomes ${sizeText(endBytes)}` : ' stays';
  return [
    `A trim of ${printableText(path)} would give back what of ${sizeText(freeBytes)} in free clusters is no hole yet.`,
    `  the file of ${sizeText(fileSizeBytes)}${shorter}; ${sizeText(tailBytes)} at its end is free`,
    ...(shortestBytes < endBytes
      ? [`  with --relocate it can come down to about ${sizeText(shortestBytes)}`]
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
