/**
 * VM state that a machine of QEMU left where nobody looks: a strip takes it out, and QEMU loads what it loaded before.
 */
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findVmState, openImage } from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { qsnap } from '../cli/qsnap/harness.js';
import { memoryDirectory } from '../support/directories.js';
import { describeUnless } from '../support/left-out.js';
import { expectClean, qemuImg } from '../support/qemu.js';
import { lackOfFirmware, Machine } from '../support/vm-machines.js';

/** A machine that has not begun, so that it needs no firmware to halt it. */
function stopped(image: string, kind: string, ...more: readonly string[]): Machine {
  const drive = `file=${image},format=qcow2,if=none,id=d`;
  const machine = new Machine(['-M', kind, '-m', '16', '-S', '-drive', drive, ...more]);
  onTestFinished(() => machine.end());
  return machine;
}

async function said(machine: Machine, ...lines: readonly string[]): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const line of lines) answers.push((await machine.monitor(line)).trim());
  await machine.quit();
  return answers;
}

/** Bytes of VM state that no entry tells of. */
async function behind(image: string): Promise<number> {
  const source = await openFile(image);
  try {
    const found = await findVmState(await openImage(source));
    return found.reduce((sum, { behindBytes }) => sum + behindBytes, 0);
  } finally {
    await source.close();
  }
}

describeUnless(lackOfFirmware(), 'QSNAP_REQUIRE_MACHINES', 'VM state that a machine left', () => {
  test('behind a short VM state: it is taken out, and the short one is loaded as before', async () => {
    const image = path.join(memoryDirectory(), 'disk.qcow2');
    await qemuImg(['create', '-q', '-f', 'qcow2', image, '8M']);
    expect(await said(stopped(image, 'pc'), 'savevm long')).toEqual(['']);
    await qemuImg(['snapshot', '-a', 'long', image]);
    // A machine without devices saves less than a cluster, over the beginning of the long one.
    expect(await said(stopped(image, 'none'), 'savevm short')).toEqual(['']);
    await qemuImg(['snapshot', '-d', 'long', image]);
    expect(await behind(image)).toBeGreaterThan(200_000);
    const before = await qsnap(['hash', image]);
    const { code, stdout } = await qsnap(['strip', image]);
    expect(code).toBe(0);
    expect(stdout).toContain('Took VM state out of the active disk and snapshot 2 "short"');
    expect(await behind(image)).toBe(0);
    await expectClean(image);
    expect((await qsnap(['hash', image])).stdout).toBe(before.stdout);
    expect(await said(stopped(image, 'none'), 'loadvm short')).toEqual(['']);
    await expectClean(image);
  });

  test('whole: the machine is gone, and its disk can be applied', async () => {
    const image = path.join(memoryDirectory(), 'disk.qcow2');
    await qemuImg(['create', '-q', '-f', 'qcow2', image, '8M']);
    expect(await said(stopped(image, 'pc'), 'savevm saved')).toEqual(['']);
    expect((await qsnap(['strip', '--whole', image, 'saved'])).code).toBe(0);
    await expectClean(image);
    const [answer] = await said(stopped(image, 'pc'), 'loadvm saved');
    expect(answer).toContain('This is a disk-only snapshot');
    await qemuImg(['snapshot', '-a', 'saved', image]);
    await expectClean(image);
  });
});
