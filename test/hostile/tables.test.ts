import { describe, expect, test } from 'vitest';
import { EDITS } from '../support/crash-judge-edits.js';
import { loadFixture } from '../support/fixture.js';
import { pick, seededRandom, victimOf, wrongNumbers } from '../support/mutate.js';
import type { PlainRegion } from '../support/crash-judge-image.js';
import { putThrough } from './ordeal.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 11);
const FIXTURES = ['cluster-512', 'compressed-v2', 'extended-l2-16k', 'bitmaps-snapshots'];

function firstUsedEntry(view: DataView, region: PlainRegion): number {
  const end = Math.min(region.at + region.bytes, view.byteLength) - 8;
  for (let at = region.at; at <= end; at += region.entryBytes) {
    if (view.getBigUint64(at) !== 0n) return at;
  }
  return region.at;
}

describe('table entries that point where nothing good is', () => {
  test.each(FIXTURES)('%s', async (name) => {
    const victim = victimOf(loadFixture(name));
    const random = seededRandom(SEED);
    const tables = victim.regions.filter(({ entryBytes }) => entryBytes >= 8);
    const faults: string[] = [];
    let opened = 0;
    for (const kind of new Set(tables.map((table) => table.name))) {
      const table = tables.find((candidate) => candidate.name === kind)!;
      const view = new DataView(victim.bytes.buffer, victim.bytes.byteOffset);
      const at = firstUsedEntry(view, table);
      const everywhere = victim.regions.map((region) => BigInt(region.at));
      const values = [...wrongNumbers(victim, view.getBigUint64(at), random), ...everywhere];
      for (const value of new Set(values.map((one) => BigInt.asUintN(64, one)))) {
        const bytes = victim.bytes.slice();
        new DataView(bytes.buffer).setBigUint64(at, value);
        const outcome = await putThrough(bytes, [pick(random, EDITS)]);
        opened += Number(outcome.opened);
        for (const fault of outcome.faults) {
          faults.push(`${name}, seed ${SEED}, ${kind} entry at ${at} = ${value}: ${fault}`);
        }
      }
    }
    expect(faults).toEqual([]);
    expect(opened).toBeGreaterThan(50);
  });
});

describe('tables that lie over each other', () => {
  /** Header fields that say where a table lies. */
  const pointers = { 'active L1': 40, 'refcount table': 48, 'snapshot table': 64 };

  test.each(FIXTURES)('%s', async (name) => {
    const { bytes, regions, clusterBytes } = victimOf(loadFixture(name));
    const faults: string[] = [];
    for (const [pointer, field] of Object.entries(pointers)) {
      for (const { at, name: over } of regions) {
        const mutant = bytes.slice();
        const target = Math.floor(at / clusterBytes) * clusterBytes;
        new DataView(mutant.buffer).setBigUint64(field, BigInt(target));
        const outcome = await putThrough(mutant, EDITS.slice(0, 2));
        for (const fault of outcome.faults) faults.push(`${name}, ${pointer} on ${over}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });

  test('the L1, the L2, the refcount table and its block are one and the same cluster', async () => {
    const { bytes, clusterBytes } = victimOf(loadFixture('cluster-512'));
    for (let cluster = 0; cluster < bytes.length / clusterBytes; cluster += 1) {
      const mutant = bytes.slice();
      const view = new DataView(mutant.buffer);
      const at = BigInt(cluster * clusterBytes);
      for (const field of [40, 48, 64]) view.setBigUint64(field, at);
      const end = Math.min((cluster + 1) * clusterBytes, bytes.length - 8);
      for (let entry = Number(at); entry < end; entry += 8) {
        if (entry >= clusterBytes) view.setBigUint64(entry, at);
      }
      const { faults } = await putThrough(mutant, EDITS.slice(0, 2));
      expect(faults, `cluster ${cluster}`).toEqual([]);
    }
  });
});
