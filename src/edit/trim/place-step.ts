import type { BlockSource } from '../../io/device.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { ACTIVE_DISK } from '../../refs/disk-sets.js';
import type { AuditedEdit } from '../plan/audit.js';
import type { Ledger } from '../plan/ledger.js';
import { countNewTables } from '../plan/new-tables.js';
import { keptSnapshots, type NextState } from '../plan/next-state.js';
import { placeRefcounts } from '../plan/place-refcounts.js';
import { placeTables } from '../plan/place.js';
import { planOf, type PlacedEdit } from '../plan/plan-of.js';
import { editTallyOf } from '../plan/tally.js';
import type { Step } from './choose-step.js';
import { holesAmong } from './holes-among.js';

/** Finds places for all that a step writes anew. */
export async function placeStep(
  audited: AuditedEdit,
  step: Step,
  ledger: Ledger,
): Promise<PlacedEdit> {
  const { image, pointers, refcountBlocks } = audited;
  const { geometry, header, source } = image;
  const { pairs, copied } = step;
  const clearFrom = pairs.from * geometry.clusterBytes;
  const next = await nextState(audited, step, clearFrom);
  // Flags of tables that stay are not mended.
  const edit = { ...audited, next, tally: editTallyOf(pointers, next), flagsWrong: false };
  for (const { target } of pairs.copies) ledger.take(target);
  moveReferences(step, ledger);
  await addCopies(source, step, geometry.clusterBytes, ledger);
  const added = countNewTables(edit, ledger);
  const placed = placeTables(edit, { copied, added, moved: pairs }, ledger);
  refcountBlocks.forEach((at, block) => {
    if (at >= clearFrom) ledger.counts.touched[block] = 1;
  });
  const before = { table: header.refcountTable, blocks: refcountBlocks };
  const refcountTable = placeRefcounts(geometry, before, ledger);
  ledger.seal();
  return planOf(edit, { ...placed, refcountTable }, ledger);
}

/** The same disks, with new L1 tables where the step asks for them. */
async function nextState(
  { image }: AuditedEdit,
  { renewed }: Step,
  clearFrom: number,
): Promise<NextState> {
  const l1s = new Map<number, Uint32Array>();
  const refs = renewed.map(({ l1 }) => l1);
  await visitL1Tables(image.source, refs, (position, words) => {
    l1s.set(renewed[position]!.number, words);
  });
  return {
    diskSizeBytes: image.header.diskSizeBytes,
    activeL1: l1s.get(ACTIVE_DISK),
    snapshots: keptSnapshots(image).map(({ entry, l1 }, index) => {
      const words = l1s.get(index + 1);
      return { entry, l1: words === undefined ? l1 : { kind: 'new', words } };
    }),
    clearFrom,
  };
}

/** Each reference to an old place becomes one to the new place. */
function moveReferences({ far, pairs: { from, to } }: Step, ledger: Ledger): void {
  for (const [cluster, paths] of far.plain) {
    if (cluster < from) continue;
    ledger.change(cluster, -paths);
    ledger.change(to.get(cluster)!, paths);
  }
  for (const [first, byReach] of far.packed) {
    for (const [reach, paths = 0] of byReach.entries()) {
      if (first + reach < from) continue;
      for (let i = 0; i <= reach; i++) {
        ledger.change(first + i, -paths);
        ledger.change(to.get(first)! + i, paths);
      }
    }
  }
}

/** A hole that goes into a hole takes no write. */
async function addCopies(
  source: BlockSource,
  { pairs: { copies } }: Step,
  clusterBytes: number,
  ledger: Ledger,
): Promise<void> {
  const sources = [...new Set(copies.map((copy) => copy.source))].sort((a, b) => a - b);
  const isHole = await holesAmong(source, sources, clusterBytes);
  const fromHoles = copies.filter((copy) => isHole.has(copy.source)).map(({ target }) => target);
  const intoHoles = await holesAmong(source, fromHoles, clusterBytes);
  const written = copies.filter(({ target }) => !intoHoles.has(target));
  if (written.length === 0) return;
  ledger.add({
    kind: 'tables',
    what: 'guest data',
    tableBytes: clusterBytes,
    targets: Float64Array.from(written, ({ target }) => target * clusterBytes),
    sources: Float64Array.from(written, (copy) => copy.source * clusterBytes),
    content: { kind: 'as-read' },
  });
}
