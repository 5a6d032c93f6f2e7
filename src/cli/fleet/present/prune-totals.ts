import { countText, sizeText } from '../../text.js';
import type { PrunedImage } from '../questions/what-if-prune.js';

/** What a prune of all images would come to. */
export interface PruneTotals {
  /** Of which a snapshot goes. */
  readonly images: number;
  readonly snapshots: number;
  /** Of images that could be measured. */
  readonly freedBytes: number;
  /** Images of which nobody knows what is freed. */
  readonly unmeasured: number;
}

export function prunedTotals(pruned: readonly PrunedImage[]): PruneTotals {
  return {
    images: pruned.length,
    snapshots: pruned.reduce((sum, { gone }) => sum + gone.length, 0),
    freedBytes: pruned.reduce((sum, { freedBytes = 0 }) => sum + freedBytes, 0),
    unmeasured: pruned.filter(({ freedBytes }) => freedBytes === undefined).length,
  };
}

export function totalsLine({ images, snapshots, freedBytes, unmeasured }: PruneTotals): string {
  const what = `${countText(snapshots, 'snapshot')} of ${countText(images, 'image')} would go`;
  const unknown =
    unmeasured === 0 ? '' : `; of ${countText(unmeasured, 'image')} nobody knows how much is freed`;
  return `${what}, which frees ${sizeText(freedBytes)}${unknown}`;
}

export function totalsJson(totals: PruneTotals): Record<string, number> {
  const { images, snapshots, freedBytes, unmeasured } = totals;
  return { images, snapshots, freed_bytes: freedBytes, unmeasured };
}
