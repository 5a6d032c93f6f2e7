/** Images of every kind that qsnap makes: QEMU reads them, and finds nothing wrong. */
import { writeFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkImage, memoryDevice, newQcow2Writer, openImage } from '../../src/index.js';
import type { NewImageOptions } from '../../src/index.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { inBatches, randomContent, randomOptions, type NewContent } from '../support/new-image.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu, expectClean, qemuImg } from '../support/qemu.js';

const SEED = seedOf();
const ROUNDS = roundsOf(10);

interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly zero: boolean;
  readonly data: boolean;
  readonly present: boolean;
  readonly offset?: number;
}

/** How qemu-img map tells what was kept in this way. */
function expectedMap(kind: NewContent['kinds'][number], options: NewImageOptions): string {
  const { version, backing } = options;
  switch (kind) {
    case 'data':
      return 'data at a place';
    case 'compressed':
      return 'data';
    case 'zero':
      if (version === 3) return 'zero';
      return backing === undefined ? 'nothing' : 'data at a place';
    case 'nothing':
      return 'nothing';
  }
}

function shownMap(entry: MapEntry): string {
  if (entry.depth > 0 || !entry.present) return 'nothing';
  if (entry.zero) return 'zero';
  return entry.offset === undefined ? 'data' : 'data at a place';
}

describeWithQemu(`new images, seed ${SEED}`, () => {
  test.each(Array.from({ length: ROUNDS }, (_, round) => ({ round })))(
    'round $round',
    async ({ round }) => {
      const random = randomFrom(SEED + round);
      const directory = temporaryDirectory();
      const plain = randomOptions(random);
      const hasBacking = random.chance(0.5);
      const below = new Uint8Array(plain.diskSizeBytes);
      if (hasBacking) below.fill(0xbb);
      writeFileSync(path.join(directory, 'below'), below);
      const backing = { name: new TextEncoder().encode('below'), format: 'raw' };
      const options = hasBacking ? { ...plain, backing } : plain;
      const { writes, disk, unitBytes, kinds } = randomContent(options, random, below);

      const device = memoryDevice();
      const writer = await newQcow2Writer(device, options);
      const running = inBatches(writes, random).map((batch) => writer.writeBatch(batch));
      await Promise.all(running);
      await writer.finish();
      const image = path.join(directory, 'image');
      writeFileSync(image, device.snapshotBytes());

      await expectClean(image);
      expect((await checkImage(device)).findings).toEqual([]);
      const { header } = await openImage(device);
      expect(header.diskSizeBytes).toBe(options.diskSizeBytes);
      const raw = path.join(directory, 'raw');
      await qemuImg(['convert', '-f', 'qcow2', '-O', 'raw', image, raw]);
      expect(readFileSync(raw).equals(disk), JSON.stringify(options)).toBe(true);

      const { stdout } = await qemuImg(['map', '--output=json', '-f', 'qcow2', image]);
      const map = JSON.parse(stdout) as MapEntry[];
      const shown = kinds.map((_, unit) => {
        const at = unit * unitBytes;
        return shownMap(map.find(({ start, length }) => at >= start && at < start + length)!);
      });
      expect(shown).toEqual(kinds.map((kind) => expectedMap(kind, options)));
    },
  );
});
