import { describe, expect, test } from 'vitest';
import { readPlain } from '../support/crash-judge-image.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { expectedJson, fixtureNames, loadFixture } from '../support/fixture.js';
import type { CheckReport } from '../support/qemu.js';

const reportOf = (name: string) => expectedJson(name, 'check.json') as CheckReport | null;
/** QEMU says nothing of images that it can't open. */
const judgedByQemu = fixtureNames().filter((name) => reportOf(name) !== null);

/** The judge of the crash tests is itself held to what QEMU said of every fixture. */
describe.each(judgedByQemu)('%s', (name) => {
  const expected = reportOf(name);

  test('is judged as qemu-img check judges it', () => {
    const image = loadFixture(name);
    const { corruptions, leaks } = checkPlain(image);
    const fileClusters = Math.ceil(image.length / readPlain(image).clusterBytes);
    // QEMU does not look at what is counted past the end of the file.
    const inFile = [...leaks.keys()].filter((cluster) => cluster < fileClusters);
    expect(corruptions.length > 0, corruptions.join('\n')).toBe((expected?.corruptions ?? 0) > 0);
    if (corruptions.length === 0) expect(inFile.length).toBe(expected?.leaks ?? 0);
  });

  test('has contents that can be told apart', () => {
    const { active, snapshots } = contentsOf(loadFixture(name));
    expect(active.disk).toMatch(/^[0-9a-f]{40}$/);
    expect(new Set(snapshots.map(({ facts }) => facts)).size).toBe(snapshots.length);
  });
});
