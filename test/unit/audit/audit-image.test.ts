import { describe, expect, test } from 'vitest';
import { AUDIT_RULES, auditImage, findRule } from '../../../src/index.js';
import { memoryDevice, PROFILE_NAMES, profileOf, QsnapError } from '../../../src/index.js';
import type { AuditPolicy, AuditReport, OptionValues } from '../../../src/index.js';
import { nodeDecompressor } from '../../../src/node/index.js';
import { fixtureNames, loadFixture } from '../../support/fixture.js';

const NOW = 2_000_000_000;
const READERS = findRule('readable-by')!.options['readers']!.words!;

/** The options with which each rule asks for most. */
const STRICTEST: Readonly<Record<string, OptionValues>> = {
  'snapshot-names': { deny: ['nightly'], allow: ['release'] },
  'snapshot-age': { max: 3600 },
  'disk-size': { max: 1 },
  'file-size': { min: 2 ** 50 },
  'size-ratio': { max: 0, above: 0 },
  'cluster-size': { max: 512 },
  'luks-iterations': { min: 2 ** 31 },
  'luks-slots': { max: 0 },
  fragmentation: { max: 0 },
  'readable-by': { readers: READERS },
  bootable: { by: ['bios', 'uefi'] },
};

const ALL: AuditPolicy = {
  rules: new Map(
    AUDIT_RULES.map(({ id, name }) => [id, { level: 'error', options: STRICTEST[name] ?? {} }]),
  ),
  exceptions: [],
};

const audited = (name: string, policy: AuditPolicy, path?: string): Promise<AuditReport> =>
  auditImage(memoryDevice(loadFixture(name)), policy, {
    ...{ now: NOW, path, decompressor: nodeDecompressor() },
  });

const namesIn = ({ findings }: AuditReport): readonly string[] => [
  ...new Set(findings.map(({ rule }) => rule.name)),
];

describe('all rules at their strictest', () => {
  test.each(fixtureNames())('%s', async (name) => {
    const { findings, excepted } = await audited(name, ALL);
    expect(excepted).toEqual([]);
    expect(findings.length).toBeGreaterThan(0);
    const ids = findings.map(({ rule }) => rule.id);
    expect(ids).toEqual([...ids].sort());
  });

  test('every rule finds something in some fixture', async () => {
    const found = new Set<string>();
    for (const name of fixtureNames())
      for (const one of namesIn(await audited(name, ALL))) found.add(one);
    // Of these test/oracle makes images with QEMU.
    const elsewhere = [
      ...['absolute-name', 'remote-name', 'backing-format', 'not-checked', 'unreadable-parts'],
      ...['slack', 'secrets-left', 'gpt-backup', 'protective-mbr'],
    ];
    const missing = AUDIT_RULES.map(({ name }) => name).filter((name) => !found.has(name));
    expect(missing.filter((name) => !elsewhere.includes(name))).toEqual([]);
  });
});

test.each(PROFILE_NAMES)('%s: its rules alone find something', async (name) => {
  const policy = profileOf(name);
  for (const fixture of ['five-snapshots', 'dirty', 'backing-chain', 'luks']) {
    for (const { rule } of (await audited(fixture, policy)).findings) {
      expect(policy.rules.has(rule.id)).toBe(true);
    }
  }
});

describe('exceptions', () => {
  const rule = findRule('snapshots')!.id;
  const policy = (until: number, images?: readonly string[]): AuditPolicy => ({
    rules: new Map([[rule, { level: 'error', options: {} }]]),
    exceptions: [{ rule, images, reason: 'for now', until }],
  });

  test.each([
    ['for all images', policy(NOW + 1), undefined, true],
    ['that is over', policy(NOW), undefined, false],
    ['for this path', policy(NOW + 1, ['a.qcow2']), 'a.qcow2', true],
    ['for another path', policy(NOW + 1, ['b.qcow2']), 'a.qcow2', false],
    ['for a path that nobody tells', policy(NOW + 1, ['a.qcow2']), undefined, false],
  ])('one %s', async (_, wanted, path, isAllowed) => {
    const { findings, excepted } = await audited('five-snapshots', wanted, path);
    expect([findings.length, excepted.length]).toEqual(isAllowed ? [0, 1] : [1, 0]);
  });
});

describe('what a check finds', () => {
  const rules = (except: readonly string[]): AuditPolicy => ({
    rules: new Map(
      ['corruption', 'unreadable-parts'].map((name) => {
        return [findRule(name)!.id, { level: 'error', options: { except } }];
      }),
    ),
    exceptions: [],
  });

  test('codes that do not count are left out', async () => {
    const all = await audited('refcount-too-low', rules([]));
    const codes = new Set(all.findings.map(({ facts }) => String(facts?.['code'])));
    expect(codes.size).toBe(2);
    const [first, second] = codes;
    const some = await audited('refcount-too-low', rules([first!]));
    expect(new Set(some.findings.map(({ facts }) => facts?.['code']))).toEqual(new Set([second]));
    expect(some.isCorrupt).toBe(true);
  });

  test('a snapshot table in an impossible place is a part that can not be read', async () => {
    const bytes = loadFixture('five-snapshots');
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(64, 0xff_ffn);
    const { findings } = await auditImage(memoryDevice(bytes), rules([]), { now: NOW });
    expect(findings.map(({ rule }) => rule.name)).toContain('unreadable-parts');
  });
});

test('a medium that can not be read is no finding', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  device.readBatch = () => Promise.reject(new QsnapError('READ_FAILED', 'the cable is out'));
  const audit = auditImage(device, ALL, { now: NOW });
  await expect(audit).rejects.toMatchObject({ code: 'READ_FAILED' });
});

test('a profile for strangers reads a few sectors of the header', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  let batches = 0;
  const readBatch = device.readBatch.bind(device);
  device.readBatch = (requests) => {
    batches += 1;
    return readBatch(requests);
  };
  await auditImage(device, profileOf('untrusted-upload'), { now: NOW });
  expect(batches).toBeLessThanOrEqual(4);
});
