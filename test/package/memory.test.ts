/** What a check takes in memory, of the built files in a process of their own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { check, describeWithQemu, qemuImg } from '../support/qemu.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MiB = 2 ** 20;
const SCRIPT = `
  const { checkImage } = await import(process.argv[1]);
  const { openFile } = await import(process.argv[2]);
  const file = await openFile(process.argv[3]);
  const { totals } = await checkImage(file);
  await file.close();
  console.log(JSON.stringify({ totals, peakKiB: process.resourceUsage().maxRSS }));
`;

interface Measured {
  readonly totals: Readonly<Record<string, number>>;
  readonly peakKiB: number;
}

/**
 * V8 collects in threads of its own, at a pace that the load of the machine sets: the peak then
 * varies by 7 MiB, and without them by less than one. A small young generation takes little more. What is
 * optimised, and when, goes with the layout of the whole program: by 2 MiB, which is left out as well.
 */
const STEADY_FLAGS = [
  ...['--max-old-space-size=64', '--max-semi-space-size=1', '--single-threaded', '--no-opt'],
];

/** The middle one of three processes, by their peaks. */
async function measure(image: string): Promise<Measured> {
  const all: Measured[] = [];
  for (let i = 0; i < 3; i++) all.push(await measureOnce(image));
  all.sort((a, b) => a.peakKiB - b.peakKiB);
  return all[1]!;
}

async function measureOnce(image: string): Promise<Measured> {
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
    '3 bits for each host cluster without snapshots, and a fixed part',
    { timeout: 180_000 },
    async () => {
      const directory = temporaryDirectory();
      const none = await measure(await mapped(directory, '64k'));
      const small = await measure(await mapped(directory, '64G'));
      const image = await mapped(directory, '2T');
      const large = await measure(image);
      const clusters = large.totals['totalClusters']! - small.totals['totalClusters']!;
      expect(clusters).toBe((1984 * 2 ** 30) / 65_536);
      const grown = (large.peakKiB - small.peakKiB) * 1024;
      // The bits of entries without the COPIED flag are never written here: no memory is behind them.
      expect(grown).toBeGreaterThan((clusters * 2) / 8);
      expect(grown).toBeLessThan((clusters * 3) / 8 + 6 * MiB);
      const peaks = [none, small, large].map(({ peakKiB }) => peakKiB);
      console.log(`peaks in KiB: ${peaks.join(', ')}`);
      const fixed = (small.peakKiB - none.peakKiB) * 1024;
      expect(fixed).toBeLessThan(30 * MiB);
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
