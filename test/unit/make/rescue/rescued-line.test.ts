/** What is said of a copy once it is written. */
import { expect, test } from 'vitest';
import { rescuedLine } from '../../../../src/cli/qsnap/present/rescue-text.js';

const active = { id: 'active', kind: 'active', lostBytes: 0, lostVmStateBytes: 0 };
const snapshot = { ...active, id: 'snapshot-1', kind: 'snapshot' };

function lineOf(disks: readonly unknown[]): string | undefined {
  const output = { path: 'copy.qcow2', report: { dataBytes: 0 } };
  const rescued = { plan: { disks: [active, snapshot] }, disks, output };
  return rescuedLine(rescued as unknown as Parameters<typeof rescuedLine>[0]);
}

test('an active disk that was left out is named, with what takes it', () => {
  expect(lineOf([snapshot])).toContain('The active disk was left out, and is empty in the copy;');
  expect(lineOf([snapshot])).toContain('--take active');
  expect(lineOf([active, snapshot])).not.toContain('left out');
});
