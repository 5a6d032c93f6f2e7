import { describe, expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { OWNERS_MAX, type Owner } from '../../../../src/read/check/finding-parts.js';
import type { Finding } from '../../../../src/read/check/finding.js';
import { memoryDevice, planCreate } from '../../../../src/index.js';
import { patientOf, type Patient } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import { l2EntriesOf } from '../../../support/image-builder-check.js';
import {
  blockAt,
  blockEntries,
  OFFSET_MASK,
  putRefcountAt,
  refcountOf,
  u64,
} from '../../../support/image-builder-layout.js';
import { DATE, edited } from '../../edit/snapshot/edited.js';

/** Raises the refcount of every cluster that has one: each is found, with its owners. */
function raiseAll({ bytes, layout, used }: Patient): void {
  for (const cluster of used) {
    const value = refcountOf(bytes, layout, cluster) + 1n;
    const block = blockAt(bytes, layout, cluster);
    putRefcountAt(bytes, block, layout.refcountBits, cluster % blockEntries(layout), value);
  }
}

async function raisedOnes(patient: Patient): Promise<readonly Finding[]> {
  raiseAll(patient);
  const { findings } = await checkImage(memoryDevice(patient.bytes));
  const raised = findings.filter(({ code }) => code === 'REFCOUNT_TOO_HIGH');
  expect(raised.map(({ cluster }) => cluster)).toEqual(patient.used);
  return raised;
}

const keyOf = (cluster: number, at: number): string => `${cluster} by ${at}`;

/** Every reference of L1 and L2 entries to a host cluster, one for each way that leads there. */
function referencesOf({ bytes, layout, l1s }: Patient): string[] {
  const references: string[] = [];
  for (const l1 of l1s) {
    for (let i = 0; i < l1.entries; i++) {
      const l2At = Number(u64(bytes, l1.at + i * 8) & OFFSET_MASK);
      if (l2At === 0) continue;
      references.push(keyOf(l2At / layout.clusterBytes, l1.at + i * 8));
      for (const { at, entry } of l2EntriesOf(bytes, layout, l2At)) {
        const target = Number(entry & OFFSET_MASK);
        if (target !== 0) references.push(keyOf(target / layout.clusterBytes, at));
      }
    }
  }
  return references.sort();
}

async function withSnapshots(image: Uint8Array, count: number): Promise<Uint8Array> {
  let bytes = image;
  for (let i = 0; i < count; i++) {
    bytes = await edited(bytes, (it) => planCreate(it, { name: `more ${i}`, date: DATE }));
  }
  return bytes;
}

describe('who refers to a cluster', () => {
  test.each(['version-3', 'five-snapshots'])('%s: everybody, and nobody else', async (name) => {
    const patient = patientOf(loadFixture(name));
    const findings = await raisedOnes(patient);
    const ofTables = ({ kind }: Owner): boolean => /-l2$|-data$|^vm-state$/.test(kind);
    const found = findings.flatMap(({ cluster, owners }) =>
      owners.filter(ofTables).map(({ at }) => keyOf(cluster!, at)),
    );
    expect(found.sort()).toEqual(referencesOf(patient));
  });

  test('those who are not listed are counted, of data too', async () => {
    const patient = patientOf(await withSnapshots(loadFixture('version-3'), 40));
    const findings = await raisedOnes(patient);
    expect(findings.some(({ expected }) => Number(expected) > 40)).toBe(true);
    for (const { cluster, owners, ownersLeftOut, expected } of findings) {
      expect(owners.length, `cluster ${cluster}`).toBe(Math.min(Number(expected), OWNERS_MAX));
      expect(owners.length + ownersLeftOut, `cluster ${cluster}`).toBe(expected);
    }
  });
});
