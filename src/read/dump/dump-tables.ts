import { MiB } from '../../base/units.js';
import { wordsInPlace } from '../../base/words.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { COPIED, COMPRESSED, offsetOf } from '../../l1l2/entry.js';
import type { DumpedField } from './dumped.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import { EntryRuns, type RunOf, type SaidEntry } from './entry-runs.js';
import { saidL2Entry } from './table-entries.js';

/** Bytes of a table that are read at a time. */
const BATCH_BYTES = 1 * MiB;

/** A table of 8-byte entries and what its entries say. */
export interface Table {
  readonly of: RunOf;
  readonly at: number;
  readonly entries: number;
  readonly say: (high: number, low: number, index: number) => SaidEntry;
}

/** Gives the entries of a table as ranges, as far as the file has them. */
export async function* dumpTable(
  { source, fileSizeBytes }: DumpableImage,
  { of, at, entries, say }: Table,
): AsyncGenerator<readonly DumpedField[]> {
  const runs = new EntryRuns(of);
  const there = Math.max(0, Math.min(entries, Math.floor((fileSizeBytes - at) / 8)));
  for (let first = 0; first < there; first += BATCH_BYTES / 8) {
    const count = Math.min(BATCH_BYTES / 8, there - first);
    const stored = await readPiece(source, fileSizeBytes, at + first * 8, count * 8);
    const words = wordsInPlace(stored.slice());
    for (let i = 0; i < count; i++) {
      const bytes = stored.subarray(i * 8, i * 8 + 8);
      const index = first + i;
      runs.add(index, at + index * 8, bytes, say(words[2 * i]!, words[2 * i + 1]!, index));
    }
    yield runs.taken();
  }
  yield runs.finish();
  if (there < entries) yield [missing(of, at, there, entries, 8)];
}

/** Entries of a table that the file no longer has. */
export function missing(
  { part, structure }: RunOf,
  tableAt: number,
  there: number,
  entries: number,
  entryBytes: number,
): DumpedField {
  const [first, last] = [there, entries - 1];
  return {
    part,
    structure,
    name: first === last ? `entry ${first}` : `entries ${first}-${last}`,
    at: tableAt + there * entryBytes,
    length: (entries - there) * entryBytes,
    bytes: new Uint8Array(0),
    text: 'past the end of the file',
    entries: { first, last },
    problem: { expected: `${entries} entries in the file` },
  };
}

/** Something that is not read, and why: it stands where it would be told of. */
export function notRead(
  { part, structure }: Pick<RunOf, 'part' | 'structure'>,
  at: number,
  text: string,
  expected: string,
): DumpedField {
  const bytes = new Uint8Array(0);
  return { part, structure, name: 'not read', at, length: 0, bytes, text, problem: { expected } };
}

/** How entries of tables are read; undefined where nobody knows how long a cluster is. */
export function formatOf({ geometry, raw, fileSizeBytes }: DumpableImage): TableFormat | undefined {
  if (geometry === undefined) return undefined;
  const fileClusters = Math.ceil(fileSizeBytes / geometry.clusterBytes);
  return { geometry, version: raw.version < 3 ? 2 : 3, fileClusters };
}

/** Gives the entries of an L2 table. */
export async function* dumpL2Table(
  { source, fileSizeBytes }: DumpableImage,
  format: TableFormat,
  of: RunOf,
  at: number,
  isExternal: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const { l2EntryBytes, l2Entries, clusterBytes } = format.geometry;
  const stored = await readPiece(source, fileSizeBytes, at, clusterBytes);
  const there = Math.floor(stored.length / l2EntryBytes);
  const words = wordsInPlace(stored.slice(0, there * l2EntryBytes));
  const runs = new EntryRuns(of);
  const stride = l2EntryBytes / 4;
  // A data file may be of any length.
  const judged = isExternal ? { ...format, fileClusters: Infinity } : format;
  for (let i = 0; i < there; i++) {
    const bytes = stored.subarray(i * l2EntryBytes, (i + 1) * l2EntryBytes);
    const [high, low] = [words[i * stride]!, words[i * stride + 1]!];
    const isStart = isExternal && namesStart(high, low);
    const bitmaps = stride === 4 ? ([words[i * 4 + 2]!, words[i * 4 + 3]!] as const) : undefined;
    const said: SaidEntry = isStart
      ? { kind: 'allocated{host}, COPIED', host: 0 }
      : saidL2Entry(high, low, judged, bitmaps);
    runs.add(i, at + i * l2EntryBytes, bytes, said);
  }
  yield runs.finish();
  if (there < l2Entries) yield [missing(of, at, there, l2Entries, l2EntryBytes)];
}

/** Whether an entry names the first cluster of a data file: by its COPIED flag alone. */
function namesStart(high: number, low: number): boolean {
  return (high & COMPRESSED) === 0 && (high & COPIED) !== 0 && offsetOf(high, low) === 0;
}
