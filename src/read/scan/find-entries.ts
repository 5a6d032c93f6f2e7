import { isZero } from '../../base/bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { metadataRegions, tableSlack } from '../../refs/regions.js';
import { NO_DETAILS, type Unnumbered } from './candidate.js';
import { whereaboutsOf, type Ground } from './ground.js';
import { reason } from './plausibility.js';
import { readEntries } from './read-entries.js';
import { findEntries } from './snapshot-entries.js';
import type { RemainsContents } from './remains-looks.js';

/** Entries of old snapshot tables that are kept. Ours. */
const ENTRIES_MAX = 65_536;
/** Slack of tables that is looked through. Ours: of 1,024 snapshots with clusters of 64 KiB. */
const SLACK_BYTES_MAX = 64 * MiB;
/** An entry that parses is hardly one by chance: an aligned place in the file, an id and a name of text, a date. */
const TABLE_PLAUSIBILITY = 70;

/** An entry of a snapshot table that is not the image's own. */
export interface OldEntry {
  readonly snapshot: Snapshot;
  readonly where: Unnumbered['where'];
  /** How often the same entry was found. */
  times: number;
  /** Host offsets of the L1 tables of snapshots that the image still has, and that the same old tables list. */
  readonly beside: Set<number>;
}

/** What is left of old snapshot tables. */
export interface OldEntries {
  /** Each once, those that the image still lists left out. */
  readonly entries: readonly OldEntry[];
  readonly tables: readonly Unnumbered[];
}

/** Reads what looks like old snapshot tables, and what lies behind the end of tables that are in use. */
export async function findOldEntries(
  ground: Ground,
  contents: RemainsContents,
): Promise<OldEntries> {
  const { source, image, format, fileSizeBytes } = ground;
  const { clusterBytes } = format.geometry;
  const listed = new Set((image?.snapshots ?? []).map(({ l1 }) => l1.at));
  const entries = new Map<string, OldEntry>();
  const tables: Unnumbered[] = [];
  const take = (snapshot: Snapshot, where: OldEntry['where'], beside: readonly number[]): void => {
    if (listed.has(snapshot.l1.at)) return;
    const key = keyOf(snapshot);
    const known = entries.get(key);
    const entry = known ?? { snapshot, where, times: 0, beside: new Set() };
    entry.times += 1;
    for (const at of beside) entry.beside.add(at);
    if (known === undefined && entries.size < ENTRIES_MAX) entries.set(key, entry);
  };
  const diskSizeBytes = image?.header.diskSizeBytes ?? 0;
  let end = 0;
  for (const at of contents.snapshotTables) {
    // The second cluster of a table may begin with an entry.
    if (at < end) continue;
    const context = { at, clusterBytes, fileSizeBytes, diskSizeBytes, isNamed: false };
    const { snapshots, bytes } = await readEntries(source, context);
    end = at + bytes;
    const where = whereaboutsOf(at / clusterBytes, ground);
    const still = snapshots.map(({ l1 }) => l1.at).filter((l1At) => listed.has(l1At));
    for (const snapshot of snapshots) take(snapshot, where, still);
    tables.push(tableOf(at, bytes, where, snapshots.length, still.length));
  }
  for (const snapshot of await entriesInSlack(ground)) take(snapshot, 'slack', []);
  return { entries: [...entries.values()], tables };
}

/** What old tables left behind the end of those that took their clusters. */
async function entriesInSlack({
  source,
  image,
  blocks,
  fileSizeBytes,
}: Ground): Promise<readonly Snapshot[]> {
  if (image === undefined) return [];
  const { clusterBytes } = image.geometry;
  const found: Snapshot[] = [];
  const seen = new Set<number>();
  let looked = 0;
  for (const { at, length } of tableSlack(metadataRegions(image, blocks), clusterBytes)) {
    const isIn = at >= 0 && at < fileSizeBytes;
    if (!isIn || length === 0 || seen.has(at) || looked + length > SLACK_BYTES_MAX) continue;
    seen.add(at);
    looked += length;
    // Entries begin at multiples of 8. Spec: Snapshots.
    const from = roundUp(at, 8);
    const bytes = new Uint8Array(at + length - from);
    await source.readBatch([{ at: from, into: bytes }]);
    if (isZero(bytes)) continue;
    const { diskSizeBytes } = image.header;
    const context = { at: from, clusterBytes, fileSizeBytes, diskSizeBytes, isNamed: false };
    found.push(...findEntries(bytes, context).snapshots);
  }
  return found;
}

function tableOf(
  at: number,
  bytes: number,
  where: OldEntry['where'],
  entries: number,
  listed: number,
): Unnumbered {
  return {
    ...{ kind: 'snapshot-table', at, bytes, where, plausibility: TABLE_PLAUSIBILITY },
    reasons: [
      reason('entry-parses', entries),
      ...(listed > 0 ? [reason('entry-listed', listed, entries)] : []),
    ],
    ...NO_DETAILS,
  };
}

function keyOf({ l1, idBytes, nameBytes }: Snapshot): string {
  return `${l1.at} ${l1.entries} ${String(idBytes)} ${String(nameBytes)}`;
}
