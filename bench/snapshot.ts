/**
 * Times create, apply and delete of whole processes, qsnap and qemu-img in turn on the same image,
 * and prints medians and their ratio. Build first: `npm run build && npm run bench`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const QSNAP = fileURLToPath(new URL('../bin/qsnap.js', import.meta.url));
const SIZES = ['64G', '1T'] as const;
const ROUNDS = Number(process.env['QSNAP_ROUNDS'] ?? 5);

interface Operation {
  readonly name: string;
  readonly ours: (image: string) => readonly string[];
  readonly qemu: (image: string) => readonly string[];
}

const OPERATIONS: readonly Operation[] = [
  {
    name: 'create',
    ours: (image) => ['create', image, 'bench'],
    qemu: (image) => ['-c', 'bench', image],
  },
  {
    name: 'apply',
    ours: (image) => ['apply', image, 'bench', '--discard-changes'],
    qemu: (image) => ['-a', 'bench', image],
  },
  {
    name: 'delete',
    ours: (image) => ['delete', image, 'bench'],
    qemu: (image) => ['-d', 'bench', image],
  },
];

function secondsOf(command: string, args: readonly string[]): number {
  const from = process.hrtime.bigint();
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  const seconds = Number(process.hrtime.bigint() - from) / 1e9;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return seconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`;
}

function measure(directory: string, size: string): void {
  const image = (who: string): string => join(directory, `${who}-${size}.qcow2`);
  for (const who of ['ours', 'qemu']) {
    const options = ['-q', '-f', 'qcow2', '-o', 'preallocation=metadata'];
    secondsOf('qemu-img', ['create', ...options, image(who), size]);
  }
  const times = OPERATIONS.map(() => ({ ours: [] as number[], qemu: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    OPERATIONS.forEach((operation, i) => {
      const ours = [QSNAP, ...operation.ours(image('ours'))];
      times[i]!.ours.push(secondsOf(process.execPath, ours));
      const qemu = ['snapshot', ...operation.qemu(image('qemu'))];
      times[i]!.qemu.push(secondsOf('qemu-img', qemu));
    });
  }
  OPERATIONS.forEach(({ name }, i) => {
    const { ours, qemu } = times[i]!;
    const ratio = (median(qemu) / median(ours)).toFixed(1);
    console.log(
      `| ${name} | ${size} | ${median(ours).toFixed(2)} (${spread(ours)}) | ` +
        `${median(qemu).toFixed(2)} (${spread(qemu)}) | ${ratio} |`,
    );
  });
  secondsOf('qemu-img', ['check', '-q', image('ours')]);
}

const directory = mkdtempSync(join(tmpdir(), 'qsnap-bench-'));
try {
  const { model } = cpus()[0]!;
  const version = spawnSync('qemu-img', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]!;
  console.log(`${cpus().length} × ${model}, Node ${process.version}, ${version}`);
  console.log(
    `load ${loadavg()[0]!.toFixed(2)} before the run, ${ROUNDS} rounds, whole processes\n`,
  );
  console.log('| operation | disk, all mapped | qsnap, s | qemu-img, s | times faster |');
  console.log('|---|---|---|---|---|');
  for (const size of SIZES) measure(directory, size);
} finally {
  rmSync(directory, { recursive: true });
}
