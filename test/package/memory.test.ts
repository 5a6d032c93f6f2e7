/** What a check takes in memory, of the built files in a process of their own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { THINNER } from '../support/left-out.js';
import { check, describeWithQemu, qemuImg } from '../support/qemu.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MiB = 2 ** 20;
/** One bit more for each cluster is more than heaps vary. */
const LARGE_GIB = THINNER > 1 ? 1536 : 3072;
/**
 * How far the peak of resident memory grows by the check alone. The peak of the whole process has that of its
 * start in it, when modules are loaded, and hides as much of a check: it is put down to what is resident
 * before. Where the system does not let it, growth counts from the peak so far.
 */
const SCRIPT = `
  const { readFileSync, writeFileSync } = await import('node:fs');
  const { checkImage } = await import(process.argv[1]);
  const { openFile } = await import(process.argv[2]);
  const peakKiB = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const file = await openFile(process.argv[3]);
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {}
  const before = peakKiB();
  const { totals } = await checkImage(file);
  const grownKiB = peakKiB() - before;
  await file.close();
  console.log(JSON.stringify({ totals, grownKiB }));
`;

interface Measured {
  readonly totals: Readonly<Record<string, number>>;
  /** Growth of the peak. */
  readonly grownKiB: number;
}

/**
 * V8 collects in threads of its own, at a pace that the load of the machine sets: the peak then
 * varies by 7 MiB, and without them by less than one. A small young generation takes little more. What is
 * optimised, and when, goes with the layout of the whole program: by 2 MiB, which is left out as well.
 */
const STEADY_FLAGS = [
  ...['--max-old-space-size=64', '--max-semi-space-size=1', '--single-threaded', '--no-opt'],
];

async function measure(image: string): Promise<Measured> {
  const urls = ['index', 'node'].map((name) => pathToFileURL(`${ROOT}dist/${name}.js`).href);
  const args = [...STEADY_FLAGS, '--input-type=module', '-e', SCRIPT, '--', ...urls, image];
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as Measured;
}

/** An image whose disk is mapped from end to end, and holds nothing. */
async function mapped(directory: string, size: string): Promise<string> {
  const image = path.join(directory, `${size}.qcow2`);
  const args = ['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', image, size];
  await qemuImg(args);
  return image;
}

describeWithQemu('memory of a check', () => {
  beforeAll(async () => {
    if (!existsSync(`${ROOT}dist/index.js`)) await run('npx', ['tsup'], { cwd: ROOT });
  }, 120_000);

  test(
    '3 bits for each host cluster, 256 bytes for each L2 table without snapshots, and a fixed part',
    { timeout: 180_000 },
    async () => {
      const directory = temporaryDirectory();
      const small = await measure(await mapped(directory, '256G'));
      const image = await mapped(directory, `${LARGE_GIB}G`);
      const large = await measure(image);
      const clusters = large.totals['totalClusters']! - small.totals['totalClusters']!;
      expect(clusters).toBe(((LARGE_GIB - 256) * 2 ** 30) / 65_536);
      console.log(`peaks grow by ${small.grownKiB} and ${large.grownKiB} KiB`);
      const grown = (large.grownKiB - small.grownKiB) * 1024;
      // The bits of entries without the COPIED flag are never written here: no memory is behind them.
      expect(grown).toBeGreaterThan((clusters * 2) / 8);
      // An L2 table maps 8192 clusters. Who points at it is known while the tables are walked.
      const tables = clusters / 8192;
      // Heaps grow by pages: up to two MiB more or less. One bit more for each cluster is 2.5 MiB or more. In the smaller
      // image, too, all buffers are full.
      expect(grown).toBeLessThan((clusters * 3) / 8 + tables * 256 + 2 * MiB);
      expect(small.grownKiB * 1024).toBeLessThan(16 * MiB);
      const { report } = await check(image);
      expect(large.totals).toMatchObject({
        totalClusters: report!['total-clusters'],
        allocatedClusters: report!['allocated-clusters'],
        fragmentedClusters: report!['fragmented-clusters'] ?? 0,
        imageEndOffset: report!['image-end-offset'],
      });
    },
  );
});
