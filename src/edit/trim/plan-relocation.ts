import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { offsetOf } from '../../l1l2/entry.js';
import { disksOf } from '../../refs/walk.js';
import type { AuditedEdit } from '../plan/audit.js';
import { OutOfClusters, type Ledger } from '../plan/ledger.js';
import { countNewTables } from '../plan/new-tables.js';
import { keptSnapshots, type NextState } from '../plan/next-state.js';
import { placeRefcounts } from '../plan/place-refcounts.js';
import { placeTables } from '../plan/place.js';
import { planOf, type PlacedEdit } from '../plan/plan-of.js';
import { refuseUnfit } from '../plan/refuse.js';
import { editTallyOf } from '../plan/tally.js';
import { placeWithin } from '../plan/within-ledger.js';
import { bound, type EditPlan } from '../tx/plan.js';
import { chooseFar } from './choose-far.js';
import { findFar, type FarReferences } from './far-references.js';
import { immovableEnd } from './immovable.js';
import { pairClusters, type Pairs } from './pair.js';
import { surveyUnchanged } from './unchanged.js';
import { holesAmong } from './unwritten.js';
import { lastUsed } from './used-end.js';

/** Clusters that one step moves at most, whatever their size: what is known of each lies in memory. */
const CLUSTERS_MAX = 65_536;

/** One step of making a file shorter. */
export interface RelocationPlan<Source extends BlockSource = BlockSource> extends EditPlan<Source> {
  /** Guest data and VM states that it moves, in whole clusters. */
  readonly movedBytes: number;
}

/**
 * Plans one step of making a file shorter: what lies at its end moves into free clusters in front, by shadow and switch
 * as in any edit. The tables that lead there are written anew. Guest data, VM states and tables move; the header, the
 * key of an encrypted image and bitmaps stay.
 *
 * @param stepBytes how much the step moves at most.
 * @returns undefined where nothing more can be gained.
 * @throws QsnapError ENCRYPTED where clusters are encrypted by their place; what `planCreate` throws of the image.
 */
export async function planRelocation<Source extends BlockSource>(
  image: OpenImage<Source>,
  stepBytes: number,
  { signal }: Stoppable = {},
): Promise<RelocationPlan<Source> | undefined> {
  refuseUnfit(image);
  refuseLuks(image);
  // Where the file can't get shorter, nothing is gained.
  if (image.source.growable === false) return undefined;
  const edit = await surveyUnchanged(stoppableImage(image, signal, 'the planning'));
  const { clusterBytes } = image.geometry;
  const most = Math.max(1, Math.min(CLUSTERS_MAX, Math.floor(stepBytes / clusterBytes)));
  const placed = await placeWithin(edit, image.mayGrow, (audited, ledger) => {
    return placeFar(audited, ledger, most);
  }).catch((error: unknown) => {
    if (error instanceof OutOfClusters) return undefined;
    throw error;
  });
  if (placed === undefined) return undefined;
  const summary = `move ${placed.movedBytes} bytes to the front of the file`;
  return bound({ ...placed, operation: 'relocate', summary, created: [] }, image);
}

/** LUKS numbers the sectors by their place in the file. */
function refuseLuks({ header, source }: OpenImage): void {
  if (header.encryption !== 'luks') return;
  throw new QsnapError('ENCRYPTED', 'clusters with LUKS are encrypted by their place, and stay', {
    file: source.label,
    actual: 'luks',
    hint: 'trim without moving anything, or make a compact copy with the passphrase',
  });
}

type Relocated = PlacedEdit & Pick<RelocationPlan, 'movedBytes'>;

async function placeFar(
  audited: AuditedEdit,
  ledger: Ledger,
  most: number,
): Promise<Relocated | undefined> {
  const { counts, free, format } = audited;
  const end = lastUsed(counts, format.fileClusters) + 1;
  const first = await immovableEnd(audited);
  const chosen = chooseFar(counts, free, [first, end], most);
  if (chosen.length === 0) return undefined;
  const far = await findFar(audited, chosen[0]!);
  const pairs = pairLast(chosen, far, ledger);
  if (pairs === undefined) return undefined;
  const placed = await placePairs(audited, far, pairs, ledger);
  const movedBytes = pairs.copies.length * audited.image.geometry.clusterBytes;
  // Tables alone may go round in circles.
  if (movedBytes === 0 && lastUsed(counts, counts.clusters) + 1 >= end) return undefined;
  return { ...placed, movedBytes };
}

/** Pairs as many of the last clusters as find a place. What nothing refers to stays, and all that lies before it. */
function pairLast(
  chosen: readonly number[],
  far: FarReferences,
  { free }: Ledger,
): Pairs | undefined {
  const isKnown = knownIn(far);
  const unknown = chosen.findLastIndex((cluster) => !isKnown(cluster));
  let rest = chosen.slice(unknown + 1);
  while (rest.length > 0) {
    const pairs = pairClusters(rest[0]!, far, free);
    if (pairs !== undefined) return pairs;
    rest = rest.slice(Math.ceil(rest.length / 2));
  }
  return undefined;
}

function knownIn({ plain, packed, metadata }: FarReferences): (cluster: number) => boolean {
  const reached = new Set<number>();
  for (const [first, byReach] of packed) {
    for (let cluster = first; cluster < first + byReach.length; cluster++) reached.add(cluster);
  }
  return (cluster) => plain.has(cluster) || reached.has(cluster) || metadata.has(cluster);
}

async function placePairs(
  audited: AuditedEdit,
  far: FarReferences,
  pairs: Pairs,
  ledger: Ledger,
): Promise<PlacedEdit> {
  const { image, tally, pointers, refcountBlocks } = audited;
  const { clusterBytes } = image.geometry;
  const copied = [...far.farthest.keys()].filter((index) => far.farthest[index]! >= pairs.from);
  const tables = new Set(copied.map((index) => tally.offsets[index]!));
  const next = await nextState(audited, tables, pairs.from * clusterBytes);
  // Flags of tables that stay are not mended.
  const edit = { ...audited, next, tally: editTallyOf(pointers, next), flagsWrong: false };
  for (const { target } of pairs.copies) ledger.take(target);
  moveReferences(far, pairs, ledger);
  await addCopies(edit, pairs, ledger);
  const added = countNewTables(edit, ledger);
  const placed = placeTables(edit, { copied, added, moved: pairs }, ledger);
  refcountBlocks.forEach((at, block) => {
    if (at >= pairs.from * clusterBytes) ledger.counts.touched[block] = 1;
  });
  const before = { table: image.header.refcountTable, blocks: refcountBlocks };
  const refcountTable = placeRefcounts(image.geometry, before, ledger);
  ledger.seal();
  return planOf(edit, { ...placed, refcountTable }, ledger);
}

/** The same disks; L1 tables are new where they lead to new L2 tables or lie too far back. */
async function nextState(
  { image }: AuditedEdit,
  l2Tables: ReadonlySet<number>,
  clearFrom: number,
): Promise<NextState> {
  const disks = disksOf(image);
  const renewed = new Map<number, Uint32Array>();
  await visitL1Tables(
    image.source,
    disks.map(({ l1 }) => l1),
    (position, words) => {
      const { number, l1 } = disks[position]!;
      if (l1.at + l1.entries * 8 > clearFrom || leadsTo(l2Tables, words))
        renewed.set(number, words);
    },
  );
  return {
    diskSizeBytes: image.header.diskSizeBytes,
    activeL1: renewed.get(0),
    snapshots: keptSnapshots(image).map(({ entry, l1 }, index) => {
      const words = renewed.get(index + 1);
      return { entry, l1: words === undefined ? l1 : { kind: 'new', words } };
    }),
    clearFrom,
  };
}

function leadsTo(l2Tables: ReadonlySet<number>, words: Uint32Array): boolean {
  for (let i = 0; i < words.length; i += 2) {
    if (l2Tables.has(offsetOf(words[i]!, words[i + 1]!))) return true;
  }
  return false;
}

/** Each reference to an old place becomes one to the new place. */
function moveReferences(
  { plain, packed }: FarReferences,
  { from, to }: Pairs,
  ledger: Ledger,
): void {
  for (const [cluster, paths] of plain) {
    if (cluster < from) continue;
    ledger.change(cluster, -paths);
    ledger.change(to.get(cluster)!, paths);
  }
  for (const [first, byReach] of packed) {
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
async function addCopies({ image }: AuditedEdit, { copies }: Pairs, ledger: Ledger): Promise<void> {
  const { source, geometry } = image;
  const { clusterBytes } = geometry;
  const sources = [...new Set(copies.map((copy) => copy.source))].sort((a, b) => a - b);
  const isHole = await holesAmong(source, sources, clusterBytes);
  const fromHoles = copies.filter((copy) => isHole.has(copy.source)).map(({ target }) => target);
  const isHoleTarget = await holesAmong(source, fromHoles, clusterBytes);
  const written = copies.filter(({ target }) => !isHoleTarget.has(target));
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
