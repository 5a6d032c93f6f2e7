import { expect, test } from 'vitest';
import { executePlan, checkImage, memoryDevice, proposeRepair } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { patientOf } from '../../../support/damage.js';
import { OFFSET_MASK, putU64, snapshotsOf, u64 } from '../../../support/image-builder-layout.js';

test.each([
  'five-snapshots',
  'cluster-4k',
  'extended-l2',
  'extended-l2-16k',
  'version-2',
  'vm-state',
])(
  '%s: a cluster that a snapshot has at two places stays told once its refcount is right',
  async (name) => {
    const { bytes, layout } = patientOf(loadFixture(name));
    const active = u64(bytes, layout.l1At) & OFFSET_MASK;
    const { snapshots } = snapshotsOf(bytes);
    const tables = snapshots.map(({ l1At }) => Number(u64(bytes, l1At) & OFFSET_MASK));
    const table = tables.find((at) => at !== 0 && BigInt(at) !== active);
    if (table === undefined) throw new Error('no table of a snapshot alone');
    const step = name.startsWith('extended-l2') ? 16 : 8;
    const entries = Array.from({ length: layout.clusterBytes / step }, (_, i) => table + i * step);
    const isData = (at: number): boolean =>
      (u64(bytes, at) & OFFSET_MASK) !== 0n && (u64(bytes, at) & (1n << 62n)) === 0n;
    const [first, second] = entries.filter(isData);
    putU64(bytes, second!, u64(bytes, first!));
    const device = memoryDevice(bytes);
    const cluster = Number(u64(bytes, first!) & OFFSET_MASK) / layout.clusterBytes;
    const told = async () =>
      (await checkImage(device)).findings.find(({ code }) => code === 'CLUSTER_AT_TWO_PLACES');
    expect(await told()).toMatchObject({ cluster, structure: 'inactive-l2' });
    const { plan } = await proposeRepair(device, () => ({ classes: ['all'], findings: [] }));
    await executePlan(plan!);
    expect(await told()).toMatchObject({ cluster, structure: 'inactive-l2' });
    const { totals } = await checkImage(device);
    expect(totals).toMatchObject({ corruptions: 0, checkErrors: 0 });
  },
);
