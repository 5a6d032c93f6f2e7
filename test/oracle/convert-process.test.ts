/** `qsnap-img convert` as a process: no room, killed in the middle, an output that QEMU has open. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checkImage, isQsnapError, memoryDevice } from '../../src/index.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { temporaryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import { describeWithQemu } from '../support/qemu.js';

const BIN = fileURLToPath(new URL('../../bin/qsnap-img.js', import.meta.url));
const seed = seedOf();
const DISK_BYTES = 24 * 2 ** 20;

/** A raw disk that no compressor makes small. */
function noisyDisk(folder: string): string {
  const file = path.join(folder, 'noise.raw');
  const words = new Uint32Array(DISK_BYTES / 4);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  const fd = openSync(file, 'w');
  writeSync(fd, new Uint8Array(words.buffer));
  ftruncateSync(fd, DISK_BYTES);
  closeSync(fd);
  return file;
}

/** Whether a file is no qcow2 image at all, or a whole and sound one. */
async function isNoneOrWhole(file: string): Promise<boolean> {
  if (!existsSync(file)) return true;
  try {
    const { totals } = await checkImage(memoryDevice(new Uint8Array(readFileSync(file))));
    return totals.corruptions + totals.leaks + totals.checkErrors === 0;
  } catch (error) {
    return isQsnapError(error) && error.code === 'NOT_QCOW2';
  }
}

describeWithQemu('convert', () => {
  test('where there is no room it says so, and leaves nothing that looks like an image', async () => {
    const folder = temporaryDirectory();
    const source = noisyDisk(folder);
    const out = path.join(folder, 'out.qcow2');
    const script = `ulimit -f 8000; trap '' XFSZ; exec "$0" "$1" convert -O qcow2 "$2" "$3"`;
    const argv = ['-c', script, process.execPath, BIN, source, out];
    const { status, stderr } = spawnSync('sh', argv, { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^qsnap-img: .*(No space left on device|longer than the system allows)/);
    expect(await isNoneOrWhole(out)).toBe(true);
  });

  test(`killed at any moment (seed ${seed}), the output is no image or the whole one`, async () => {
    const folder = temporaryDirectory();
    const source = noisyDisk(folder);
    const random = randomFrom(seed);
    let cut = 0;
    for (let round = 0; round < roundsOf(3); round++) {
      const out = path.join(folder, `out-${round}.qcow2`);
      const child = spawn(process.execPath, [BIN, 'convert', '-c', '-O', 'qcow2', source, out]);
      const ended = new Promise<NodeJS.Signals | null>((resolve) => {
        child.on('exit', (_, signal) => {
          resolve(signal);
        });
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), 150 + random.below(700));
      if ((await ended) === 'SIGKILL') cut += 1;
      clearTimeout(timer);
      expect(await isNoneOrWhole(out), out).toBe(true);
    }
    expect(cut).toBeGreaterThan(0);
  });

  test('what QEMU has open is neither emptied nor overwritten', async () => {
    const folder = temporaryDirectory();
    const source = noisyDisk(folder);
    const out = path.join(folder, 'out.qcow2');
    await makeImage(out, '24M', '');
    const before = readFileSync(out);
    const holder = spawn('qemu-io', [out], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      for (const argv of [
        ['-O', 'qcow2'],
        ['-n', '-O', 'qcow2'],
        ['-O', 'raw'],
      ]) {
        const ran = spawnSync(process.execPath, [BIN, 'convert', ...argv, source, out]);
        expect({ argv, status: ran.status }).toEqual({ argv, status: 1 });
        expect(ran.stderr.toString()).toContain('Failed to get "write" lock');
        expect(readFileSync(out).equals(before)).toBe(true);
      }
    } finally {
      holder.stdin.end();
      await new Promise((resolve) => holder.once('exit', resolve));
    }
  });
});
