/** What tells of many snapshots, each measured against another command in the same run. */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { executePlan } from '../src/edit/tx/execute.js';
import type { EditPlan } from '../src/edit/tx/plan.js';
import type { OpenImage } from '../src/image/image.js';
import { openImage } from '../src/image/open.js';
import type { BlockDevice } from '../src/io/device.js';
import { openFileForEdit } from '../src/node/index.js';
import { planMany, planRewrite } from '../test/support/many-snapshots.js';
import { copyOf, filled, mapped, settle } from './images.js';
import {
  fight,
  peakMiB,
  qemuImg,
  qsnap,
  ratio,
  seconds,
  shown,
  type Command,
  type Duel,
  type Outcome,
} from './timing.js';

export const SHARING_HEAD = ['operation', 'image', 's', 'against', 's', 'result', 'wanted'];

/** A duel, what it is called, and what is read from its outcome. */
interface Comparison {
  readonly name: string;
  readonly image: string;
  readonly against: string;
  readonly wanted: string;
  readonly duel: Duel;
  readonly result: (outcome: Outcome) => string;
}

const times = (outcome: Outcome): string => `${(1 / ratio(outcome)).toFixed(2)} times`;

function rowsOf(comparisons: readonly Comparison[], rounds: number): string[][] {
  const outcomes = fight(
    comparisons.map(({ duel }) => duel),
    rounds,
  );
  return comparisons.map(({ name, image, against, wanted, result }, i) => {
    const { ours, theirs } = outcomes[i]!;
    return [name, image, shown(ours), against, shown(theirs), result(outcomes[i]!), wanted];
  });
}

const duelOf = (ours: Command, theirs: Command): Duel => ({
  ours: () => seconds(ours),
  theirs: () => seconds(theirs),
});

const SNAPSHOTS = 20;
/** Of the 2,048 L2 tables of 1 TiB. */
const CHANGED_TABLES = 20;

/** 1 TiB with 20 snapshots; before each but the first the guest wrote 1 % of the disk anew. */
async function withNeighbours(folder: string): Promise<string> {
  const image = mapped(folder, 'neighbours', '1T');
  for (let i = 0; i < SNAPSHOTS; i++) {
    if (i > 0) await edit(image, (open) => planRewrite(open, i * CHANGED_TABLES, CHANGED_TABLES));
    seconds(qsnap('create', image, `s${i}`));
  }
  settle();
  return image;
}

/** `size` with 20 snapshots of one state. */
async function withTwins(folder: string, size: string): Promise<string> {
  const image = mapped(folder, 'twins', size);
  await edit(image, (open) => planMany(open, SNAPSHOTS));
  settle();
  return image;
}

async function edit(
  path: string,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<void> {
  const device = await openFileForEdit(path);
  try {
    await executePlan(await plan(await openImage(device)));
  } finally {
    await device.close();
  }
}

/** `usage` and `tree` beside `check`, which walks the same tables. */
function besideCheck(image: string, size: string): readonly Comparison[] {
  const named = `${size}, ${SNAPSHOTS} snapshots`;
  return ['usage', 'tree'].map((name) => ({
    name,
    image: named,
    against: 'check',
    wanted: '1.3 times',
    duel: duelOf(qsnap(name, image), qsnap('check', image)),
    result: times,
  }));
}

/** A set that is to be deleted is a sum over what `usage` knows already. */
function ofASet(image: string, size: string): Comparison {
  const set = Array.from({ length: SNAPSHOTS / 2 }, (_, i) => `name:s${2 * i}`).join(',');
  return {
    name: 'usage --if-deleted, a set of 10',
    image: `${size}, ${SNAPSHOTS} snapshots`,
    against: 'usage',
    wanted: '1.1 times',
    duel: duelOf(qsnap('usage', '--if-deleted', set, image), qsnap('usage', image)),
    result: times,
  };
}

/** The exit code of `diff` where there is something to tell. */
const DIFFERENT = 1;

function ofNeighbours(image: string, size: string): Comparison {
  const diff = qsnap('diff', image, 'name:s9', 'name:s10');
  return {
    name: 'diff of two neighbours',
    image: `${size}, 1 % differs`,
    against: '--version',
    wanted: '60 ms more',
    duel: {
      ours: () => seconds(diff, process.env, DIFFERENT),
      theirs: () => seconds(qsnap('--version')),
    },
    result: ({ ours, theirs }) => `${((ours.median - theirs.median) * 1000).toFixed(0)} ms more`,
  };
}

const MANY = 10_000;

async function ofMany(folder: string): Promise<Comparison> {
  const image = mapped(folder, 'many', '64M');
  await edit(image, (open) => planMany(open, MANY));
  const prune = (): number => {
    const copy = copyOf(image, 'many-pruned.qcow2');
    return seconds(qsnap('prune', '--keep-last', String(MANY / 2), '--yes', copy));
  };
  return {
    name: `prune --keep-last ${MANY / 2}`,
    image: '64M, 10,000 snapshots',
    against: 'list',
    wanted: 'less than 3 times',
    duel: { ours: prune, theirs: () => seconds(qsnap('list', image)) },
    result: times,
  };
}

/** Bytes that a new image takes of its medium. */
const takenBytes = (path: string): number => statSync(path).blocks * 512;

/** A compact copy reads, writes and compares all disks; `convert` copies the active one. */
function ofCompact(folder: string): Comparison {
  const mib = 1024;
  const image = filled(folder, mib);
  const out = join(folder, 'compacted.qcow2');
  const taken = { ours: 0, theirs: 0 };
  const afresh = (who: keyof typeof taken, command: Command): number => {
    rmSync(out, { force: true });
    settle();
    const took = seconds(command);
    taken[who] = takenBytes(out);
    return took;
  };
  const convert = qemuImg('convert', '-t', 'writeback', '-O', 'qcow2', image, out);
  return {
    name: 'compact, compared by hash',
    image: `${mib} MiB of data`,
    against: 'qemu-img convert',
    wanted: '2 times as fast a byte',
    duel: {
      ours: () => afresh('ours', qsnap('compact', image, '-o', out)),
      theirs: () => afresh('theirs', convert),
    },
    result: (outcome) => {
      const aByte = ratio(outcome) * (taken.ours / taken.theirs);
      return `${aByte.toFixed(2)} times as fast a byte`;
    },
  };
}

/** What a table and a line of peaks are made of. */
export interface SharingResults {
  readonly rows: readonly (readonly string[])[];
  readonly peaks: readonly (readonly [name: string, mib: number])[];
}

const peaksOf = (image: string): SharingResults['peaks'] =>
  ['usage', 'tree', 'check'].map((name) => [name, peakMiB(qsnap(name, image))]);

/** 1 TiB with 20 snapshots, 10,000 snapshots of a small disk, and a compact copy. */
export async function sharingOf1T(folder: string, rounds: number): Promise<SharingResults> {
  const image = await withNeighbours(folder);
  seconds(qemuImg('check', '-q', image));
  const walks = [...besideCheck(image, '1T'), ofASet(image, '1T'), ofNeighbours(image, '1T')];
  const rows = [
    ...rowsOf(walks, rounds),
    ...rowsOf([await ofMany(folder)], rounds),
    ...rowsOf([ofCompact(folder)], rounds),
  ];
  return { rows, peaks: peaksOf(image) };
}

/** 16 TiB with 20 snapshots of one state: 2 GiB of tables, in a file longer than ext4 takes. */
export async function sharingOf16T(folder: string, rounds: number): Promise<SharingResults> {
  const image = await withTwins(folder, '16T');
  return { rows: rowsOf(besideCheck(image, '16T'), rounds), peaks: peaksOf(image) };
}
