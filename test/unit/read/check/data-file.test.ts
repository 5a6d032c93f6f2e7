import { expect, test } from 'vitest';
import { checkImage, memoryDevice, type CheckReport } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { patientOf } from '../../../support/damage.js';
import { putU64 } from '../../../support/image-builder-layout.js';

const codesOf = ({ findings }: CheckReport): string[] => [
  ...new Set(findings.map(({ code }) => code)),
];

test.each(['data-file', 'data-file-raw'])(
  '%s: an entry that leads elsewhere is told',
  async (name) => {
    const { bytes, standard } = patientOf(loadFixture(name));
    const [first, second] = standard;
    expect((await checkImage(memoryDevice(bytes))).exitCode).toBe(0);
    // Each leads to the place of the other.
    putU64(bytes, first!.at, second!.entry);
    putU64(bytes, second!.at, first!.entry);
    const report = await checkImage(memoryDevice(bytes));
    expect(report).toMatchObject({ exitCode: 2, qemuExitCode: 0 });
    const told = report.findings.filter(({ code }) => code === 'DATA_FILE_OFFSET_WRONG');
    expect(told.map(({ at }) => at).sort()).toEqual([first!.at, second!.at].sort());
  },
);

test.each(['no-snapshots', 'five-snapshots', 'extended-l2'])(
  '%s, with the mark of an external data file: its data is not leaked',
  async (name) => {
    const bytes = loadFixture(name).slice();
    bytes[79]! |= 4;
    const report = await checkImage(memoryDevice(bytes));
    // QEMU opens no such image without the file.
    expect(report).toMatchObject({ exitCode: 1, qemuExitCode: 1, ownersHidden: true });
    const codes = codesOf(report);
    expect(codes).toContain('DATA_FILE_DOUBTED');
    expect(codes).not.toContain('DATA_FILE_OFFSET_WRONG');
    expect(codes).not.toContain('CLUSTER_LEAKED');
  },
);
