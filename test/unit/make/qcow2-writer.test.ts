import { describe, expect, test } from 'vitest';
import { checkImage, newQcow2Writer, openGuestDisk, openImage } from '../../../src/index.js';
import { nodeDecompressor } from '../../../src/node.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { randomFrom } from '../../support/model-random.js';
import { inBatches, packed, PLAIN, randomContent, randomOptions } from '../../support/new-image.js';
import { crashStates, recordingDevice } from '../../support/recording-device.js';

const SEED = 20_240_617;

async function written(seed: number, device = recordingDevice()) {
  const random = randomFrom(seed);
  const options = randomOptions(random);
  const { writes, disk } = randomContent(options, random);
  const writer = await newQcow2Writer(device, options);
  for (const batch of inBatches(writes, random)) await writer.writeBatch(batch);
  await writer.finish();
  return { device, disk, options };
}

describe('an image of guest data', () => {
  test.each(Array.from({ length: 12 }, (_, i) => SEED + i))('seed %d', async (seed) => {
    const { device, disk } = await written(seed);
    const report = await checkImage(device);
    expect(report.findings).toEqual([]);
    const image = await openImage(device);
    const guest = await openGuestDisk(image, { decompressor: nodeDecompressor() });
    const read = new Uint8Array(disk.length);
    await guest.readBatch([{ at: 0, into: read }]);
    expect(Buffer.from(read).equals(disk)).toBe(true);
  });

  test('a block device is cleared where a header stood, and its rest does not show', async () => {
    const old = memoryDevice(new Uint8Array(4 * 1024 * 1024).fill(0x51), 'disk', {
      growable: false,
    });
    const options = {
      ...PLAIN,
      version: 2 as const,
      backing: { name: Uint8Array.of(98), format: 'raw' },
    };
    const writer = await newQcow2Writer(old, options);
    await writer.writeBatch([{ kind: 'zero', at: 0, length: 131_072 }]);
    expect(old.snapshotBytes().subarray(0, 4)).toEqual(new Uint8Array(4));
    await writer.finish();
    expect(
      old
        .snapshotBytes()
        .subarray(65_536, 196_608)
        .every((byte) => byte === 0),
    ).toBe(true);
  });
});

describe('a power cut', () => {
  test('leaves no image, or the whole one', async () => {
    const random = randomFrom(SEED);
    const options = { ...PLAIN, clusterBytes: 512, diskSizeBytes: 65_536 };
    const { writes } = randomContent(options, random);
    const device = recordingDevice();
    const writer = await newQcow2Writer(device, options);
    await writer.writeBatch(writes);
    await writer.finish();
    const whole = device.snapshotBytes();
    let cut = 0;
    for (const { bytes, description } of crashStates(device.log, new Uint8Array(0), {
      seed: SEED,
    })) {
      const isImage = Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'QFI\xfb';
      if (isImage) expect(Buffer.from(bytes).equals(whole), description).toBe(true);
      else cut += 1;
    }
    expect(cut).toBeGreaterThan(10);
  });
});

describe('what is refused', () => {
  test('a failure is the answer to all that follows', async () => {
    const device = recordingDevice();
    const writer = await newQcow2Writer(device, PLAIN);
    device.failAt(1);
    const bytes = new Uint8Array(65_536).fill(1);
    await expect(writer.writeBatch([{ kind: 'data', at: 0, bytes }])).rejects.toMatchObject({
      code: 'WRITE_FAILED',
    });
    await expect(writer.writeBatch([])).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    await expect(writer.finish()).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    expect(device.snapshotBytes().length).toBe(0);
  });

  test.each([
    ['backwards', [1, 0]],
    ['twice', [0, 0]],
  ] as const)('%s', async (_, places) => {
    const writer = await newQcow2Writer(memoryDevice(), PLAIN);
    const writes = places.map((at) => ({ kind: 'zero' as const, at: at * 65_536, length: 65_536 }));
    await expect(writer.writeBatch(writes)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('parts of clusters, and clusters that did not become smaller', async () => {
    const bad = [
      { kind: 'data', at: 0, bytes: new Uint8Array(512) },
      { kind: 'data', at: 512, bytes: new Uint8Array(65_536) },
      { kind: 'compressed', at: 0, packed: new Uint8Array(65_536) },
      { kind: 'zero', at: 0, length: 2 * 1024 * 1024 },
    ] as const;
    for (const write of bad) {
      const writer = await newQcow2Writer(memoryDevice(), PLAIN);
      await expect(writer.writeBatch([write])).rejects.toMatchObject({ code: 'INTERNAL' });
    }
  });

  test('with refcounts of one bit no cluster is shared', async () => {
    const device = memoryDevice();
    const writer = await newQcow2Writer(device, { ...PLAIN, refcountBits: 1 });
    const cluster = packed(new Uint8Array(65_536).fill(7), 'zlib');
    const writes = [0, 1, 2].map((i) => ({
      kind: 'compressed' as const,
      at: i * 65_536,
      packed: cluster,
    }));
    await writer.writeBatch(writes);
    await writer.finish();
    expect((await checkImage(device)).findings).toEqual([]);
  });
});
