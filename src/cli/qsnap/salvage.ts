/** What `export --salvage` says of a disk that was copied past damage. */
import { type GuestDisk } from '../../index.js';
import { salvagedRanges, type LossList, type SalvagedRange } from '../../internal.js';
import { countText, exactSizeText, hexText, oneSafeLine } from '../text.js';
import type { LinesFile } from './lines-file.js';

/** More ranges than this are counted instead of kept; the map file has them all. */
const RANGES_MAX = 1000;
const RANGES_SHOWN_MAX = 10;

/** What can't be relied on. */
export interface Salvaged {
  readonly zeroFilledBytes: number;
  readonly doubtfulBytes: number;
  /** The first of the ranges that are not good. */
  readonly ranges: readonly SalvagedRange[];
  readonly rangesLeftOut: number;
}

/** Goes over a disk that was copied, and writes the map. docs/schema/salvage-map.json has the shape of a line. */
export async function surveySalvaged(
  disk: GuestDisk,
  losses: LossList,
  fileBytes: number,
  map: LinesFile | undefined,
): Promise<Salvaged> {
  const bytes = { good: 0, 'zero-filled': 0, doubtful: 0 };
  const ranges: SalvagedRange[] = [];
  let rangesLeftOut = 0;
  for await (const range of salvagedRanges(disk, losses.sorted(), fileBytes)) {
    bytes[range.state] += range.length;
    await map?.add(rangeJson(range));
    if (range.state === 'good') continue;
    if (ranges.length < RANGES_MAX) ranges.push(range);
    else rangesLeftOut += 1;
  }
  const [zeroFilledBytes, doubtfulBytes] = [bytes['zero-filled'], bytes.doubtful];
  return { zeroFilledBytes, doubtfulBytes, ranges, rangesLeftOut };
}

/** Whether all of the disk is as it was. */
export function isAllGood({ ranges }: Salvaged): boolean {
  return ranges.length === 0;
}

/** What is said on stderr, a sentence each. */
export function salvagedLines({
  zeroFilledBytes,
  doubtfulBytes,
  ranges,
  rangesLeftOut,
}: Salvaged): readonly string[] {
  const shown = ranges.slice(0, RANGES_SHOWN_MAX).map(({ start, length, state, reason }) => {
    return `${hexText(start)}, ${countText(length, 'byte')}: ${state}: ${oneSafeLine(reason!)}`;
  });
  const more = ranges.length - shown.length + rangesLeftOut;
  return [
    `${exactSizeText(zeroFilledBytes)} could not be read and are zeros, ` +
      `${exactSizeText(doubtfulBytes)} are doubtful`,
    ...shown,
    ...(more === 0 ? [] : [`and ${countText(more, 'more range')}`]),
  ];
}

/** The `salvage` member. docs/schema/manifest.json. */
export function salvagedJson(salvaged: Salvaged): Record<string, unknown> {
  return {
    'zero-filled-bytes': salvaged.zeroFilledBytes,
    'doubtful-bytes': salvaged.doubtfulBytes,
    ranges: salvaged.ranges.map(rangeJson),
    'ranges-left-out': salvaged.rangesLeftOut,
  };
}

function rangeJson({ start, length, state, reason }: SalvagedRange): Record<string, unknown> {
  return { start, length, state, ...(reason !== undefined && { reason }) };
}
