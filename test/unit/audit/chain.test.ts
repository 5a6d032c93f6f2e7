import { describe, expect, test } from 'vitest';
import { auditImage, backingName, findRule, memoryDevice } from '../../../src/index.js';
import { QsnapError, type BlockSource, type Gate, type OptionValues } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';

const RULES = ['chain-depth', 'chain-complete', 'chain-loop', 'chain-format'];

/** The fixture with another name of its backing file, as long as the old one. */
function naming(name: string): Uint8Array {
  const bytes = Buffer.from(loadFixture('backing-chain'));
  bytes.write(name, bytes.indexOf('base.qcow2'), 'latin1');
  return bytes;
}

/** The extension with the format of the backing file. */
const FORMAT_AT = 0x70;

const RAW = new Uint8Array(512);

/** A gate to files in memory, and the most of them that were open at once. */
function gateTo(
  files: Readonly<Record<string, Uint8Array>>,
  format?: 'qcow2' | 'raw',
): Gate & { readonly open: Set<BlockSource>; most: number } {
  const open = new Set<BlockSource>();
  const gate = {
    open,
    most: 0,
    openBacking: (image: Parameters<Gate['openBacking']>[0]) => {
      const name = backingName(image)!;
      const bytes = files[name];
      if (bytes === undefined) throw new QsnapError('OPEN_FAILED', `${name} is not there`, {});
      const device = memoryDevice(bytes, name);
      const source: BlockSource = {
        ...{ label: device.label, sizeBytes: () => device.sizeBytes() },
        readBatch: (requests) => device.readBatch(requests),
        close: () => Promise.resolve(void open.delete(source)),
      };
      open.add(source);
      gate.most = Math.max(gate.most, open.size);
      return Promise.resolve({ source, format, identity: name });
    },
    openDataFile: () => Promise.reject(new Error('never')),
  };
  return gate;
}

async function broken(
  gate: Gate | undefined,
  bytes: Uint8Array,
  options: OptionValues = {},
): Promise<readonly string[]> {
  const rules = RULES.map((name) => {
    return [findRule(name)!.id, { level: 'error' as const, options }] as const;
  });
  const policy = { rules: new Map(rules), exceptions: [] };
  const { findings } = await auditImage(memoryDevice(bytes), policy, { now: 0, gate });
  return findings.map(({ rule, message }) => `${rule.name}: ${message}`);
}

/** 1.qcow2 names 2.qcow2, and so on; the last one is raw. */
function chainOf(count: number): Record<string, Uint8Array> {
  const name = (i: number): string => `file${String(i).padStart(6, '0')}`;
  const files: Record<string, Uint8Array> = {};
  for (let i = 1; i <= count; i++) files[name(i)] = i === count ? RAW : naming(name(i + 1));
  return files;
}

describe('a chain', () => {
  test('that ends, with the last file raw: two files are open at once, and none in the end', async () => {
    const gate = gateTo(chainOf(8));
    expect(await broken(gate, naming('file000001'))).toEqual([
      'chain-format: file 8 below the image, "file000008", is recorded as qcow2, and does not begin as qcow2',
    ]);
    expect({ most: gate.most, open: gate.open.size }).toEqual({ most: 2, open: 0 });
  });

  test('with one file more than allowed', async () => {
    const found = await broken(gateTo(chainOf(9)), naming('file000001'));
    expect(found[0]).toBe('chain-depth: the chain has 9 backing files; the most allowed is 8');
    const more = await broken(gateTo(chainOf(9)), naming('file000001'), { max: 9 });
    expect(more.join()).not.toContain('chain-depth');
  });

  test('of which a file is not there, or can not be read', async () => {
    const { file000002: _, ...files } = chainOf(3);
    expect(await broken(gateTo(files), naming('file000001'))).toEqual([
      "chain-complete: the chain can't be followed to file 2 below the image: file000002 is not there",
    ]);
    const cut = { ...chainOf(1), file000001: naming('file000002').subarray(0, 80) };
    const gate = gateTo(cut);
    const [found] = await broken(gate, naming('file000001'));
    expect(found).toContain(
      "chain-complete: the chain can't be followed to file 1 below the image: ",
    );
    expect(gate.open.size).toBe(0);
  });

  test('that leads back to itself', async () => {
    const files = { ...chainOf(3), file000002: naming('file000001') };
    const gate = gateTo(files);
    expect(await broken(gate, naming('file000001'))).toEqual([
      'chain-loop: the chain of backing files leads back to itself: "file000001" is in it already',
    ]);
    expect(gate.open.size).toBe(0);
  });

  test('of more files than any chain has', async () => {
    const found = await broken(gateTo(chainOf(300)), naming('file000001'));
    expect(found[0]).toContain('chain-depth: the chain has at least 200 backing files');
    expect(found[1]).toContain('longer than 200');
  });

  test('whose base has no recorded format: the image itself is for another rule', async () => {
    const middle = naming('file000002');
    middle.set([1, 2, 3, 4], FORMAT_AT);
    const gate = gateTo({ ...chainOf(2), file000001: middle });
    expect(await broken(gate, naming('file000001'))).toEqual([
      'chain-format: file 2 below the image, "file000002", is named without its format',
    ]);
    const own = naming('file000001');
    own.set([1, 2, 3, 4], FORMAT_AT);
    expect(await broken(gateTo({ file000001: RAW }), own)).toEqual([]);
  });

  test('recorded as raw, of what begins as an image', async () => {
    const own = naming('file000001');
    own.set([0, 0, 0, 3, ...Buffer.from('raw\0\0')], FORMAT_AT + 4);
    const files = { file000001: loadFixture('no-snapshots') };
    expect(await broken(gateTo(files, 'raw'), own)).toEqual([
      'chain-format: file 1 below the image, "file000001", is recorded as raw, and begins as qcow2',
    ]);
  });
});

test('without a gate nothing is opened, and each rule says that it was not judged', async () => {
  const found = await broken(undefined, loadFixture('backing-chain'));
  expect(found).toEqual(
    RULES.map(
      (name) =>
        `${name}: the chain of backing files was not followed, so this rule can not be judged`,
    ),
  );
  expect(await broken(undefined, loadFixture('no-snapshots'))).toEqual([]);
});

test('a stop is no fact of the image', async () => {
  const signal = AbortSignal.timeout(0);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const rules = new Map([[findRule('chain-loop')!.id, { level: 'error' as const, options: {} }]]);
  const auditing = auditImage(
    memoryDevice(naming('file000001')),
    { rules, exceptions: [] },
    { now: 0, gate: gateTo(chainOf(3)), signal },
  );
  await expect(auditing).rejects.toMatchObject({ code: 'ABORTED' });
});
