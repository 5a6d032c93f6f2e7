import { MiB } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import { readTable } from '../../refs/tables.js';
import { COMPRESSED, judgeL1Entry, judgeL2Entry, offsetOf } from '../../l1l2/entry.js';
import { neighbourText, oneBitNeighbours, type Neighbour } from '../../image/one-bit.js';
import { lookAtL1, lookAtL2 } from '../../l1l2/recognise.js';
import { scanOf, type Scan } from '../../l1l2/scan.js';
import type { FindingCode } from './catalog.js';
import type { References } from './count-references.js';
import type { Excess } from './excess.js';
import type { Finding } from './finding.js';

/** So many findings of a check are looked into: an overwritten table has one for each of its entries. */
const HINTS_MAX = 16;
/** Of an L1 table no more is read. */
const L1_BYTES_MAX = 2 * MiB;

/** What a pointer leads to if it is right. */
type Target = 'l1' | 'l2' | 'data';

const TARGETS: Partial<Record<FindingCode, Target>> = {
  METADATA_PAST_END: 'l1',
  SNAPSHOT_L1_MISALIGNED: 'l1',
  SNAPSHOT_L1_UNREADABLE: 'l1',
  L1_ENTRY_PAST_END: 'l2',
  L1_ENTRY_MISALIGNED: 'l2',
  L2_ENTRY_PAST_END: 'data',
  L2_ENTRY_MISALIGNED: 'data',
};

/** A pointer that can't be right. */
export interface Suspect {
  /** What is stored. */
  readonly offset: bigint;
  readonly target: Target;
  /** Of the table that it leads to. */
  readonly bytes: number;
}

/** A place that differs by one bit from what is stored. */
export interface FoundNeighbour extends Neighbour {
  /** The refcounts know of more references to it than were found. */
  readonly isMissed: boolean;
}

/**
 * Adds hints to findings about pointers that can't be right. A hint names the place that the pointer may have
 * named before one of its bits flipped. A place is a candidate if it holds a table, or data that nothing refers
 * to. Without a finding about a pointer nothing is read.
 *
 * @param excess clusters that count as used more often than anything refers to them.
 * @throws QsnapError READ_FAILED.
 */
export async function withHints(
  image: OpenImage,
  references: References,
  excess: Excess,
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  const { fileSizeBytes, geometry } = image;
  const { clusterBytes } = geometry;
  const hints = new Map<Finding, string>();
  let looked = 0;
  for (const finding of findings) {
    const suspect = suspectOf(finding, clusterBytes);
    if (suspect === undefined) continue;
    if (looked === HINTS_MAX) break;
    looked += 1;
    const nearest = nearestOf(await neighboursOf(suspect, image, references, excess));
    if (nearest !== undefined)
      hints.set(finding, neighbourText(suspect.offset, nearest, clusterBytes, fileSizeBytes));
  }
  if (hints.size === 0) return findings;
  return findings.map((finding) => ({ ...finding, hint: hints.get(finding) }));
}

/** What a finding says of a pointer, if it is about one. */
export function suspectOf(
  { code, structure, found, facts }: Finding,
  clusterBytes: number,
): Suspect | undefined {
  const target = TARGETS[code];
  if (target === undefined) return undefined;
  if (code === 'METADATA_PAST_END' && !structure.endsWith('-l1')) return undefined;
  const offset = BigInt(String(code.startsWith('SNAPSHOT') ? found : facts['offset']));
  // Where compressed data begins needs no boundary: too many places are one bit away.
  const isCompressed = (BigInt(String(facts['entry'] ?? 0)) >> 32n) & BigInt(COMPRESSED);
  if (target === 'data' && isCompressed !== 0n) return undefined;
  const bytes = target === 'l1' ? Number(facts['size'] ?? 0) : clusterBytes;
  return bytes === 0 ? undefined : { offset, target, bytes: Math.min(bytes, L1_BYTES_MAX) };
}

/**
 * The best candidate. A place with fewer references than its refcount says comes first, then the table with more
 * entries. Two candidates for data are equally good, so then there is no best one.
 */
export function nearestOf(neighbours: readonly FoundNeighbour[]): FoundNeighbour | undefined {
  const [best, ...others] = [...neighbours].sort(
    (a, b) =>
      Number(b.isMissed) - Number(a.isMissed) || (b.entries ?? 0) - (a.entries ?? 0) || a.at - b.at,
  );
  return best?.entries === undefined && others.length > 0 ? undefined : best;
}

async function neighboursOf(
  suspect: Suspect,
  image: OpenImage,
  { scan }: References,
  excess: Excess,
): Promise<readonly FoundNeighbour[]> {
  const { clusterBytes } = image.geometry;
  // What the end of the file cuts is named by sound entries all the same.
  const whole = scanOf(scan.format);
  const neighbours: FoundNeighbour[] = [];
  for (const at of oneBitNeighbours(suspect.offset, clusterBytes, image.fileSizeBytes)) {
    const isMissed = excess.has(at / clusterBytes);
    if (suspect.target === 'data') {
      const isUnreferenced = isMissed && excess.unreferenced.has(at / clusterBytes);
      if (isUnreferenced) neighbours.push({ at, entries: undefined, isMissed });
      continue;
    }
    const words = await readTable(image.source, at, suspect.bytes / 8);
    const entries = entriesIn(words, suspect.target, whole, isMissed);
    if (entries > 0) neighbours.push({ at, entries, isMissed });
  }
  return neighbours;
}

/**
 * How many entries of a table name a place; 0 if the words are no table. A candidate that the refcounts don't
 * speak for must look like a table by itself (`recognise.ts`), so that chance makes none.
 */
function entriesIn(words: Uint32Array, target: 'l1' | 'l2', scan: Scan, isMissed: boolean): number {
  const look = target === 'l1' ? lookAtL1(words, scan) : lookAtL2(words, scan);
  if (look !== undefined || !isMissed) return look?.pointers ?? 0;
  const judge = target === 'l1' ? judgeL1Entry : judgeL2Entry;
  const stride = target === 'l1' ? 2 : scan.stride;
  let entries = 0;
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if (judge(high, low, scan.format) !== undefined) return 0;
    if (offsetOf(high, low) !== 0) entries += 1;
  }
  return entries;
}
