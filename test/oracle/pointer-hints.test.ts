/** Images that QEMU made, with one bit of a pointer flipped: a check names the place that it led to. */
import { promises } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkImage } from '../../src/read/check/check-image.js';
import { memoryDevice } from '../../src/io/memory.js';
import { planRescue } from '../../src/make/rescue/plan-rescue.js';
import { memoryDirectory, removeDirectories } from '../support/directories.js';
import { layoutOf, snapshotsOf } from '../support/image-builder.js';
import { flipBit, offsetAt, putU64 } from '../support/image-builder-layout.js';
import { makeImage } from '../support/made-images.js';
import { describeWithQemu } from '../support/qemu.js';

const TABLES = 50;
/** What one L2 table maps with clusters of 64 KiB. */
const TABLE_MIB = 512;

let made = new Uint8Array();

/** The image with a bit of the 8 bytes at `at` flipped. */
function flipped(at: number, bit: number): Uint8Array {
  const bytes = made.slice();
  flipBit(bytes, at, bit);
  return bytes;
}

async function hintsOf(bytes: Uint8Array): Promise<readonly (string | undefined)[]> {
  const { findings } = await checkImage(memoryDevice(bytes));
  return findings.flatMap(({ code, hint }) => (hint === undefined ? [] : [`${code}: ${hint}`]));
}

describeWithQemu('where a pointer with a flipped bit led', () => {
  beforeAll(async () => {
    const file = path.join(memoryDirectory(), 'made.qcow2');
    const writes = Array.from({ length: TABLES }, (_, i) => `write -P 1 ${i * TABLE_MIB}M 64k`);
    const first = [...writes, 'write -P 2 64k 3136k'];
    await makeImage(file, '32G', '', first, 'snapshot one', 'write -P 3 0 64k');
    made = new Uint8Array(await promises.readFile(file));
  });
  afterAll(removeDirectories);

  test('of the header, to the active L1 table', async () => {
    expect(await hintsOf(flipped(40, 40))).toEqual([
      'METADATA_PAST_END: offset 0x10000030000 is past the end; 0x30000 differs by one bit and holds a ' +
        'table with 50 sound entries',
    ]);
  });

  test('of an L1 entry, past the end and off a boundary', async () => {
    const entryAt = layoutOf(made).l1At;
    const at = offsetAt(made, entryAt);
    const ending = `0x${at.toString(16)} differs by one bit and holds a table with 50 sound entries`;
    expect(await hintsOf(flipped(entryAt, 41))).toEqual([
      `L1_ENTRY_PAST_END: offset 0x${(2 ** 41 + at).toString(16)} is past the end; ${ending}`,
    ]);
    expect(await hintsOf(flipped(entryAt, 9))).toContain(
      `L1_ENTRY_MISALIGNED: offset 0x${(512 + at).toString(16)} is no cluster boundary; ${ending}`,
    );
  });

  test('of a snapshot, wherever the bit lies', async () => {
    const { l1At } = snapshotsOf(made).snapshots[0]!;
    const entryAt = layoutOf(made).snapshotTableAt;
    const ending = `0x${l1At.toString(16)} differs by one bit and holds a table with 50 sound entries`;
    for (const [bit, code, problem] of [
      [40, 'METADATA_PAST_END', 'is past the end'],
      [62, 'SNAPSHOT_L1_UNREADABLE', 'is past the end'],
      [9, 'SNAPSHOT_L1_MISALIGNED', 'is no cluster boundary'],
    ] as const) {
      const offset = (BigInt(l1At) ^ (1n << BigInt(bit))).toString(16);
      expect(await hintsOf(flipped(entryAt, bit))).toContain(
        `${code}: offset 0x${offset} ${problem}; ${ending}`,
      );
    }
  });

  test('of an L2 entry, to data that nothing refers to', async () => {
    const entryAt = offsetAt(made, layoutOf(made).l1At);
    const at = offsetAt(made, entryAt);
    const ending = `0x${at.toString(16)} differs by one bit and nothing refers to it`;
    expect(await hintsOf(flipped(entryAt, 43))).toEqual([
      `L2_ENTRY_PAST_END: offset 0x${(2 ** 43 + at).toString(16)} is past the end; ${ending}`,
    ]);
    // What a snapshot has as well is referred to.
    expect(await hintsOf(flipped(entryAt + 8, 43))).toEqual([]);
  });

  test('nothing where no place a bit away holds anything', async () => {
    const bytes = flipped(40, 40);
    putU64(bytes, 40, 0x100_0fff_0000n);
    expect(await hintsOf(bytes)).toEqual([]);
    expect(await hintsOf(made)).toEqual([]);
  });

  test('a rescue goes by the same', async () => {
    const plan = await planRescue(memoryDevice(flipped(40, 40)));
    const [active] = plan.disks;
    expect(active).toMatchObject({
      ...{ kind: 'active', origin: 'one-bit', root: { l1At: 0x3_0000 } },
      hint:
        'offset 0x10000030000 is past the end; 0x30000 differs by one bit and holds a table with 50 ' +
        'sound entries',
    });
  });
});
