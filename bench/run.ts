/**
 * Measures whole processes, qsnap and qemu-img in turn, and writes results.md and growth.svg beside itself: `npm run build
 * && npm run bench`. QSNAP_ROUNDS sets the rounds; QSNAP_BENCH_PARTS names parts (edits, reads, scattered, copies, sparse,
 * many, audits, sharing, remote, workers, growth, start, fleet-questions), default all these; QSNAP_BENCH_LARGEST the largest image of the
 * growth curve, default 4T: with its tables one of 16T is a longer file than ext4 takes, and needs XFS or tmpfs, for one.
 * The part `sharing-16T` needs that, too, and 6 GiB there.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { plot } from './growth-plot.js';
import { copyOf, filled, fragmented, mapped, settle } from './images.js';
import { audits } from './audits.js';
import { questionsSection } from './fleet-questions.js';
import { SHARING_HEAD, sharingOf16T, sharingOf1T, type SharingResults } from './sharing.js';
import { remote } from './remote.js';
import { sparseDuels } from './sparse.js';
import { workers } from './workers.js';
import {
  certificates,
  fight,
  figure,
  inTurn,
  node,
  peakMiB,
  qemuImg,
  qsnap,
  qsnapImg,
  ratio,
  seconds,
  shown,
  type Duel,
  type Outcome,
  type Times,
} from './timing.js';
import { worseSince } from './worse.js';

const ROUNDS = Number(process.env['QSNAP_ROUNDS'] ?? 5);
const PARTS = (
  process.env['QSNAP_BENCH_PARTS'] ??
  'edits,reads,scattered,copies,sparse,many,audits,sharing,remote,workers,growth,start,fleet-questions'
).split(',');
const LARGEST = process.env['QSNAP_BENCH_LARGEST'] ?? '4T';
const FLOOR = fileURLToPath(new URL('floor.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qsnap-bench-'));
const lines: string[] = [];

function print(line = ''): void {
  lines.push(line);
  console.log(line);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  print(line(head));
  print(line(head.map(() => '---')));
  for (const row of rows) print(line(row));
  print();
}

const HEAD = ['operation', 'image', 'qsnap, s', 'qemu-img, s', 'times faster', 'wanted'];

function row(name: string, image: string, outcome: Outcome, wanted: string): string[] {
  const faster = ratio(outcome).toFixed(1);
  return [name, image, shown(outcome.ours), shown(outcome.theirs), faster, wanted];
}

/** Create, apply, check and delete of one snapshot, one after the other, on one image each. */
function editDuels(ours: string, theirs: string): Duel[] {
  const edit = (words: readonly string[], option: string): Duel => ({
    ours: () => seconds(qsnap(...words)),
    theirs: () => seconds(qemuImg('snapshot', option, 'bench', theirs)),
  });
  return [
    edit(['create', ours, 'bench'], '-c'),
    edit(['apply', '--discard-changes', ours, 'bench'], '-a'),
    edit(['delete', ours, 'bench'], '-d'),
    {
      ours: () => seconds(qsnap('check', ours)),
      theirs: () => seconds(qemuImg('check', theirs)),
    },
  ];
}

let made = 0;
/** qsnap makes no second snapshot of one name. */
const newName = (): string => `made ${(made += 1)}`;

const EDITS = ['create', 'apply', 'delete', 'check'];

function edits(): void {
  print('## Edits and checks, every cluster mapped');
  print();
  const wanted: Record<string, readonly string[]> = {
    '64G': ['0.8', '1', '1', '0.7'],
    '1T': ['12', '10', '8', '4'],
  };
  const rows = ['64G', '1T'].flatMap((size) => {
    const [ours, theirs] = [mapped(folder, 'ours', size), mapped(folder, 'theirs', size)];
    const outcomes = fight(editDuels(ours, theirs), ROUNDS);
    seconds(qemuImg('check', '-q', ours));
    return outcomes.map((outcome, i) => row(EDITS[i]!, size, outcome, wanted[size]![i]!));
  });
  table(HEAD, rows);
  floorAndMemory();
}

function floorAndMemory(): void {
  const image = mapped(folder, 'floor', '1T');
  const [floor, start] = inTurn(
    [() => seconds(node(FLOOR, copyOf(image, 'floor.qcow2'))), () => seconds(node('-e', '0'))],
    ROUNDS,
  );
  print(
    `The floor at 1 TiB, a program that reads the same tables, writes them to new clusters and syncs twice ` +
      `([floor.mjs](floor.mjs)): ${shown(floor!)} s; Node's own start in it: ${shown(start!)} s.`,
  );
  print();
  printEditPeaks(join(folder, 'ours-1T.qcow2'), '1 TiB', 160);
}

function printEditPeaks(image: string, size: string, wantedMB: number): void {
  const peaks = [
    ['create', peakMiB(qsnap('create', image, 'peak'))],
    ['check', peakMiB(qsnap('check', image))],
    ['delete', peakMiB(qsnap('delete', image, 'peak'))],
  ] as const;
  printPeaks(peaks, size, wantedMB);
}

/** @param wantedMB how much memory is to be enough. */
function printPeaks(peaks: SharingResults['peaks'], size: string, wantedMB: number): void {
  const peak = ([name, mib]: readonly [string, number]): string => `${name} ${mib.toFixed(0)} MiB`;
  const found = peaks.map(peak).join(', ');
  print(`Peak of resident memory at ${size} (wanted: ${wantedMB} MB): ${found}.`);
  print();
}

/** What is measured, of which image, and how many times faster it is to be. */
type NamedDuel = readonly [name: string, image: string, wanted: string, duel: Duel];

function cold(command: () => number): number {
  seconds(['sh', '-c', 'sync; echo 3 >/proc/sys/vm/drop_caches']);
  return command();
}

function rowsOf(duels: readonly NamedDuel[]): string[][] {
  const outcomes = fight(
    duels.map(([, , , duel]) => duel),
    ROUNDS,
  );
  return outcomes.map((outcome, i) => row(duels[i]![0], duels[i]![1], outcome, duels[i]![2]));
}

function reads(): void {
  print('## Reading tables');
  print();
  const image = mapped(folder, 'map', '1T');
  const duels: NamedDuel[] = [
    [
      'map --output=json',
      '1T',
      '3',
      {
        ours: () => seconds(qsnapImg('map', '--output=json', image)),
        theirs: () => seconds(qemuImg('map', '--output=json', image)),
      },
    ],
    [
      'check, cold cache',
      '1T',
      '1',
      {
        ours: () => cold(() => seconds(qsnap('check', image))),
        theirs: () => cold(() => seconds(qemuImg('check', image))),
      },
    ],
  ];
  table(HEAD, rowsOf(duels));
}

function scattered(): void {
  print('## Scattered tables');
  print();
  for (const kind of [
    { diskGiB: 256, snapshots: 6, writes: 500 },
    { diskGiB: 1024, snapshots: 8, writes: 2000 },
  ]) {
    const { diskGiB, snapshots, writes } = kind;
    print(`${diskGiB} GiB, ${snapshots} snapshots with ${writes} random writes before each:`);
    print();
    table(HEAD, scatteredRows(fragmented(folder, kind), `${diskGiB}G`));
  }
}

function scatteredRows(image: string, size: string): string[][] {
  const ours = copyOf(image, 'scattered-ours.qcow2');
  const theirs = copyOf(image, 'scattered-theirs.qcow2');
  const check: Duel = {
    ours: () => seconds(qsnap('check', ours)),
    theirs: () => seconds(qemuImg('check', theirs)),
  };
  const create: Duel = {
    ours: () => seconds(qsnap('create', ours, newName())),
    theirs: () => seconds(qemuImg('snapshot', '-c', newName(), theirs)),
  };
  const coldly = (duel: Duel): Duel => ({
    ours: () => cold(duel.ours),
    theirs: () => cold(duel.theirs),
  });
  // All that needs a warm cache comes before the first thing that empties it.
  return [
    ...rowsOf([
      ['check', size, '1', check],
      ['create', size, '1', create],
    ]),
    ...rowsOf([
      ['check, cold cache', size, '1', coldly(check)],
      ['create, cold cache', size, '1', coldly(create)],
    ]),
  ];
}

function copies(): void {
  print('## Copies of guest data');
  print();
  const [large, small] = [filled(folder, 4096), filled(folder, 512)];
  const out = join(folder, 'out');
  const afresh = (command: () => number): number => {
    rmSync(out, { force: true });
    settle();
    return command();
  };
  const raw: Duel = {
    ours: () => afresh(() => seconds(qsnap('export', large, 'data', '-f', 'raw', '-o', out))),
    theirs: () =>
      afresh(() =>
        seconds(qemuImg('convert', '-t', 'writeback', '-l', 'data', '-O', 'raw', large, out)),
      ),
  };
  const packed: Duel = {
    ours: () =>
      afresh(() => seconds(qsnap('export', small, 'data', '-f', 'qcow2', '-c', '-o', out))),
    theirs: () =>
      afresh(() =>
        seconds(
          qemuImg('convert', '-t', 'writeback', '-l', 'data', '-c', '-O', 'qcow2', small, out),
        ),
      ),
  };
  // Memory that lay idle for a while has to be got from the host again, and the first large copy after a
  // pause pays for that: one that is not measured, and then one kind after the other.
  raw.theirs();
  const [first] = fight([raw], ROUNDS);
  const [second] = fight([packed], Math.min(3, ROUNDS));
  table(HEAD, [
    row('export of a snapshot, raw', '4 GiB of data', first!, '1'),
    row('export of a snapshot, deflate', '512 MiB of data', second!, '1'),
  ]);
}

/** Wanted: no more than twice qemu-img's time and what Node takes to start. */
function sparse(): void {
  print('## Raw disks with holes');
  print();
  const duels = ['8G', '1T'].flatMap((size) => sparseDuels(folder, size, gib(size)));
  const outcomes = fight(
    duels.map(({ duel }) => duel),
    ROUNDS,
  );
  const [begun] = inTurn([() => seconds(node('-e', '0'))], 3 * ROUNDS);
  const rows = duels.map(({ name, size }, i) => {
    const { ours, theirs } = outcomes[i]!;
    const share = ours.median / (2 * theirs.median + begun!.median);
    return row(name, `${size}, 8 MiB of data`, outcomes[i]!, `${share.toFixed(2)} of the time`);
  });
  table(HEAD, rows);
  print(`The time: twice qemu-img's and Node's start, ${shown(begun!)} s.`);
  print();
}

/** Ten of twenty snapshots that share all tables, in one call and in ten. */
function deleteTen(size: string): Duel {
  const image = mapped(folder, 'twenty', size);
  for (let i = 0; i < 20; i++) seconds(qsnap('create', image, `s${i}`));
  const names = Array.from({ length: 10 }, (_, i) => `s${2 * i}`);
  return {
    ours: () => seconds(qsnap('delete', copyOf(image, 'twenty-ours.qcow2'), ...names)),
    theirs: () => {
      const copy = copyOf(image, 'twenty-theirs.qcow2');
      return names.reduce((sum, name) => sum + seconds(qemuImg('snapshot', '-d', name, copy)), 0);
    },
  };
}

function many(): void {
  print('## Many at a time\n');
  const deletes = ['64G', '1T'].map(deleteTen);
  const images = Array.from({ length: 1000 }, () => join(folder, 'twenty-64G.qcow2'));
  const lists: Duel = {
    ours: () => seconds(qsnap('list', ...images)),
    theirs: () => images.reduce((sum, one) => sum + seconds(qemuImg('snapshot', '-l', one)), 0),
  };
  const [small, large, listed] = fight([...deletes, lists], ROUNDS);
  table(HEAD, [
    row('delete 10 of 20 snapshots', '64G', small!, '10'),
    row('delete 10 of 20 snapshots', '1T', large!, '10'),
    row('list of 1,000 images', '20 snapshots each', listed!, '5'),
  ]);
}

async function sharing(measure: typeof sharingOf1T, size: string, mib: number): Promise<void> {
  print(`## What snapshots share, ${size}`);
  print();
  const { rows, peaks } = await measure(folder, ROUNDS);
  table(SHARING_HEAD, rows);
  printPeaks(peaks, `${size} with 20 snapshots`, mib);
}

const gib = (size: string): number => Number.parseInt(size, 10) * (size.endsWith('T') ? 1024 : 1);

/** From 1 TiB on once: more rounds of qemu-img would take longer than all else. */
const theirRounds = (size: string): number => (size.endsWith('T') ? 1 : 3);

function growth(): void {
  print('## Growth');
  print();
  const smaller = ['16G', '64G', '256G', '1T', '4T'].filter((size) => gib(size) < gib(LARGEST));
  const points = [...smaller, LARGEST].map((size) => {
    const image = mapped(folder, 'grow', size);
    const copy = copyOf(image, 'grow-theirs.qcow2');
    const ours = inTurn(
      editDuels(image, copy).map((duel) => duel.ours),
      ROUNDS,
    );
    const theirCreate = () => seconds(qemuImg('snapshot', '-c', newName(), copy));
    const [theirs] = inTurn([theirCreate], theirRounds(size));
    rmSync(copy);
    if (size !== LARGEST) rmSync(image);
    return { size, ours, theirs: theirs! };
  });
  table(
    ['image', ...EDITS.map((name) => `${name}, s`), 'qemu-img create, s'],
    points.map(({ size, ours, theirs }) => [size, ...ours.map(shown), shown(theirs)]),
  );
  printGrowth(points.find(({ size }) => size === '1T')?.ours, points.at(-1)!.ours);
  const curve = points.map(({ size, ours, theirs }) => {
    return { size, ours: ours[0]!.median, theirs: theirs.median };
  });
  writeFileSync(new URL('growth.svg', import.meta.url), plot(curve));
  print('![Seconds for a snapshot by the size of the disk](growth.svg)');
  print();
  const clusters = gib(LARGEST) * 2 ** 14;
  const wantedMB = 160 + Math.round((2.2 * clusters) / 1e6);
  printEditPeaks(join(folder, `grow-${LARGEST}.qcow2`), `${LARGEST}iB`, wantedMB);
}

/** @param from times at 1 TiB, undefined where the curve ends before. */
function printGrowth(from: readonly Times[] | undefined, to: readonly Times[]): void {
  if (from === undefined) return;
  const times = to.map(({ median }, i) => `${EDITS[i]!} ${(median / from[i]!.median).toFixed(1)}`);
  const first = (to[0]!.first / from[0]!.first).toFixed(1);
  print(
    `${LARGEST}iB take so many times as long as 1 TiB (wanted: 18 at most): ${times.join(', ')}. The first create, ` +
      `whose new tables make the file longer: ${first} (${figure(to[0]!.first)} s, ${figure(from[0]!.first)} s).`,
  );
  print();
}

function start(): void {
  print('## Start');
  print();
  const image = mapped(folder, 'start', '64M');
  const commands = [
    ['`node -e 0`', node('-e', '0')],
    ['`qsnap --version`', qsnap('--version')],
    ['`qsnap list` of a small image', qsnap('list', image)],
    ['`qemu-img snapshot -l` of it', qemuImg('snapshot', '-l', image)],
  ] as const;
  const times = inTurn(
    commands.map(
      ([, command]) =>
        () =>
          seconds(command),
    ),
    3 * ROUNDS,
  );
  table(
    ['command', 's'],
    commands.map(([name], i) => [name, shown(times[i]!)]),
  );
  if (certificates === undefined) return;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificates };
  const [slow] = inTurn([() => seconds(node('-e', '0'), env)], 3 * ROUNDS);
  print(
    `NODE_EXTRA_CA_CERTS is set on this machine, and was not for what is measured here: with it \`node -e 0\` takes ` +
      `${shown(slow!)} s, as Node parses those certificates whenever it starts.`,
  );
  print();
}

const ALL: Record<string, () => void | Promise<void>> = {
  edits,
  reads,
  scattered,
  copies,
  sparse,
  many,
  audits: () => {
    audits(folder, ROUNDS, print, table);
  },
  sharing: () => sharing(sharingOf1T, '1 TiB', 160),
  'sharing-16T': () => sharing(sharingOf16T, '16 TiB', 400),
  remote: () => remote(folder, ROUNDS, print, table),
  workers: () => workers(folder, ROUNDS, print, table),
  growth,
  start,
  'fleet-questions': () => questionsSection(folder, ROUNDS, print),
};

try {
  const { model } = cpus()[0]!;
  const version = spawnSync('qemu-img', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]!;
  print('# Results\n');
  print(
    `\`npm run build && npm run bench\` on ${new Date().toISOString().slice(0, 10)}: whole processes, qsnap and ` +
      `qemu-img in turn; medians of ${ROUNDS} rounds (deflate: up to 3; qemu-img's growth: see there), with the fastest and the ` +
      `slowest. ${cpus().length} × ${model}, Node ${process.version}, ${version}. Load before the run: ` +
      `${loadavg()[0]!.toFixed(2)}.`,
  );
  print();
  for (const part of PARTS) {
    await ALL[part]!();
    // Their images are large.
    spawnSync('sh', ['-c', `rm -rf ${folder}/*`]);
  }
  const results = new URL('results.md', import.meta.url);
  const before = readFileSync(results, 'utf8');
  print('## Since the last results');
  print();
  for (const line of worseSince(before, lines.join('\n'))) print(line);
  print();
  const notes = before.split('## Notes\n')[1];
  writeFileSync(results, `${lines.join('\n')}${notes === undefined ? '' : `## Notes\n${notes}`}`);
} finally {
  rmSync(folder, { recursive: true });
}
