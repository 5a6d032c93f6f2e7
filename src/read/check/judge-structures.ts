import { counted, isPrintable, printable, printableText } from '../../base/text.js';
import { hex } from '../../base/words.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import type { OpenImage } from '../../image/image.js';
import { unlistedSnapshots } from '../../image/unlisted.js';
import type { SnapshotTableStop } from '../../qcow2/snapshot-table-lenient.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import {
  HEADER_V2,
  HEADER_V3,
  KNOWN_AUTOCLEAR,
  SNAPSHOT_EXTRA_BYTES_V3,
} from '../../qcow2/spec.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { findVmState } from '../../refs/vm-state.js';
import type { FindingCode } from './catalog.js';
import type { FindingCollector, Found } from './collector.js';
import type { References } from './count-references.js';
import type { Facts } from './finding-parts.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/** Findings that the header, its extensions and the snapshot table give without any walk. */
export function checkHeader(
  { image, bitmapsMissing, bitmapsProblem }: CheckedImage,
  to: FindingCollector,
): void {
  const { header } = image;
  const incompatible = { structure: 'main-header', at: HEADER_V3.incompatible.at } as const;
  const autoclear = { structure: 'main-header', at: HEADER_V3.autoclear.at } as const;
  if (header.dirty) to.add('MARKED_DIRTY', incompatible);
  if (header.markedCorrupt) to.add('MARKED_CORRUPT', incompatible);
  const unknown = header.autoclear & ~KNOWN_AUTOCLEAR;
  if (unknown !== 0n) to.add('AUTOCLEAR_UNKNOWN', { ...autoclear, found: hex(unknown) });
  const { at, entries } = header.activeL1;
  if (at === 0 && entries > 0) {
    to.add('L1_OVER_HEADER', { ...incompatible, at: HEADER_V2.l1At.at, found: entries });
  }
  if (bitmapsMissing) to.add('BITMAPS_EXTENSION_MISSING', autoclear);
  if (bitmapsProblem !== undefined) {
    const { message, details } = bitmapsProblem;
    const where = { structure: 'bitmap-directory', at: details.at ?? autoclear.at } as const;
    to.add('BITMAPS_UNREADABLE', { ...where, facts: { problem: message } });
  }
  for (const extension of image.extensions) {
    const { at } = extension;
    if (extension.kind === 'unknown') {
      const facts = { type: hex(extension.type) };
      to.add('EXTENSION_UNKNOWN', { structure: 'main-header', at, facts });
    }
    if (extension.kind === 'bitmaps' && !header.bitmapsConsistent) {
      to.add('BITMAPS_STALE', { structure: 'bitmap-directory', at });
    }
  }
  for (const { name, inUse, table } of image.bitmaps) {
    if (!inUse) continue;
    to.add('BITMAP_IN_USE', {
      structure: 'bitmap-directory',
      at: table.at,
      facts: { name: printableText(name) },
    });
  }
}

/**
 * Judges the snapshot table.
 *
 * QEMU: block/qcow2-snapshot.c, qcow2_check_read_snapshot_table.
 */
export function checkSnapshotTable(checked: CheckedImage, to: FindingCollector): void {
  const { image, pointer, table, listed } = checked;
  const { snapshots } = image;
  const counts = { read: listed.snapshots.length, claimed: pointer.claimed };
  const atHeader = { structure: 'main-header', at: HEADER_V2.snapshotTableAt.at } as const;
  if (pointer.problem !== undefined) {
    const problem =
      pointer.problem === 'too-many'
        ? `the header claims ${pointer.claimed} snapshots, and ${LIMITS.snapshotsMax.value} is the most`
        : `it can't lie at ${hex(pointer.at)}`;
    to.add('SNAPSHOT_TABLE_UNREADABLE', { ...atHeader, facts: { problem, ...counts } });
  }
  if (table.stop !== undefined && pointer.problem === undefined) {
    const { reason, index, at, value } = table.stop;
    const where = { structure: 'snapshot-table', at, found: value } as const;
    if (reason === 'extra-data-too-long')
      to.add('SNAPSHOT_EXTRA_TOO_LONG', { ...where, facts: { index } });
    else {
      const facts = {
        problem: `it is longer than ${LIMITS.snapshotTableBytesMax.value} bytes`,
        index,
        ...counts,
      };
      to.add('SNAPSHOT_TABLE_UNREADABLE', { ...where, facts });
    }
  }
  addLostEntry(listed.stop, counts, to);
  if (image.header.externalDataFile && snapshots.length > 0) {
    to.add('SNAPSHOTS_IN_DATA_FILE_IMAGE', { ...atHeader, found: snapshots.length });
  }
  for (const { index, field, at, value, l1Entries } of table.faults) {
    const facts = { ...snapshotFacts(snapshots[index]!), field, size: l1Entries * 8 };
    const where = { structure: 'snapshot-table', at, facts } as const;
    if (field === 'l1-offset') {
      const isAligned = value % BigInt(image.geometry.clusterBytes) === 0n;
      const code = isAligned ? 'SNAPSHOT_L1_UNREADABLE' : 'SNAPSHOT_L1_MISALIGNED';
      if (!isAligned || l1Entries > 0) to.add(code, { ...where, found: hex(value) });
    } else if (field === 'l1-entries')
      to.add('SNAPSHOT_L1_TOO_LARGE', { ...where, found: Number(value) });
    else to.add('SNAPSHOT_SIZE_TOO_LARGE', { ...where, found: hex(value) });
  }
  checkSnapshots(checked, to);
}

/** QEMU takes such an entry for a snapshot, of zeros or of what is left of it. */
function addLostEntry(
  stop: SnapshotTableStop | undefined,
  counts: { readonly read: number; readonly claimed: number },
  to: FindingCollector,
): void {
  if (stop === undefined) return;
  const { reason, at, index, value } = stop;
  if (reason !== 'blank' && reason !== 'past-the-end' && reason !== 'misread') return;
  const problem = {
    blank: 'it holds zeros',
    misread: `its id and name of ${counted(value, 'byte')} are no text, so a length before them is wrong`,
    'past-the-end': `${counted(value, 'byte')} of it would lie past the end of the file`,
  }[reason];
  to.add('SNAPSHOT_LOST', {
    structure: 'snapshot-table',
    at,
    facts: { index, problem, ...counts },
  });
}

function checkSnapshots({ image, table, listed }: CheckedImage, to: FindingCollector): void {
  const { snapshots, header, geometry } = image;
  const { faults } = table;
  const ids = new Map<string, Snapshot>();
  const names = new Map<string, Snapshot>();
  const faulty = new Set(faults.map(({ index }) => index));
  for (const snapshot of snapshots) {
    const add = (code: FindingCode, more: Pick<Found, 'found' | 'expected'> = {}): void => {
      const facts = snapshotFacts(snapshot);
      to.add(code, { structure: 'snapshot-table', at: snapshot.at, facts, ...more });
    };
    const { extraData, id, idBytes, name, nameBytes, l1, index } = snapshot;
    if (header.version === 3 && extraData.length < SNAPSHOT_EXTRA_BYTES_V3) {
      add('SNAPSHOT_EXTRA_MISSING', { found: extraData.length });
    }
    // What is lost has a finding of its own.
    if (index >= listed.snapshots.length) continue;
    const wanted = l1EntriesFor(snapshot.diskSizeBytes, geometry);
    if (!faulty.has(index) && l1.entries < wanted) {
      add('SNAPSHOT_L1_TOO_SHORT', { found: l1.entries, expected: wanted });
    }
    if (!isPrintable(idBytes) || !isPrintable(nameBytes)) add('SNAPSHOT_NAME_UNPRINTABLE');
    const [sameId, sameName] = [ids.get(id), names.get(name)];
    if (sameId !== undefined) add('SNAPSHOT_ID_DUPLICATE', { found: sameId.index });
    if (sameName !== undefined) add('SNAPSHOT_NAME_DUPLICATE', { found: sameName.index });
    if (sameId === undefined) ids.set(id, snapshot);
    if (sameName === undefined) names.set(name, snapshot);
  }
}

/** Snapshots that the header does not count: their deletion was cut off, or the count is damaged. */
export async function checkBehindTable(
  { image, behindTable }: CheckedImage,
  { blocks }: StoredRefcountTable,
  { counter }: References,
  to: FindingCollector,
): Promise<void> {
  for (const snapshot of await unlistedSnapshots(image, behindTable, counter.counts, blocks)) {
    const where = { structure: 'snapshot-table', at: snapshot.at } as const;
    to.add('SNAPSHOT_UNLISTED', { ...where, facts: snapshotFacts(snapshot) });
  }
}

/** So many bytes of an id or a name are told: a table of 64 MiB may hold nothing else. */
const TOLD_BYTES = 1024;

function snapshotFacts({ index, idBytes, nameBytes }: Snapshot): Facts {
  const told = (bytes: Uint8Array): string =>
    bytes.length <= TOLD_BYTES
      ? printable(bytes)
      : `${printable(bytes.subarray(0, TOLD_BYTES))}… (${counted(bytes.length, 'byte')})`;
  return { index, id: told(idBytes), name: told(nameBytes) };
}

/** VM state of which the snapshot table does not tell. */
export async function checkVmState(image: OpenImage, to: FindingCollector): Promise<void> {
  for (const { snapshot, at, dataBytes, behindBytes } of await findVmState(image)) {
    if (snapshot === undefined) {
      to.add('VM_STATE_IN_ACTIVE', { structure: 'active-l1', at, found: dataBytes });
    } else if (behindBytes > 0) {
      to.add('VM_STATE_BEHIND_SIZE', {
        ...{ structure: 'snapshot-table', at: snapshot.at, found: behindBytes },
        facts: { ...snapshotFacts(snapshot), told: snapshot.vmStateBytes },
      });
    }
  }
}

/** What no entry is wrong about, but a person may want to know of the tables as a whole. */
export function checkTables({ tally, hasCopied }: References, to: FindingCollector): void {
  let [stale, at] = [0, 0];
  for (let i = hasCopied.length - 1; i >= 0; i--) {
    if (hasCopied[i] === 0 || tally.active[i] !== 0) continue;
    stale += 1;
    at = tally.offsets[i]!;
  }
  if (stale > 0)
    to.add('STALE_COPIED_IN_SNAPSHOTS', { structure: 'inactive-l2', at, found: stale });
}
