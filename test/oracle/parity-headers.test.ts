import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadFixture } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu } from '../support/qemu.js';
import { differencesOf, type DifferenceName } from './parity-differences.js';
import { readBoth } from './parity.js';

/** Bytes in hex by their position; `cut` makes the file that long. */
interface Patch {
  /** Default: cluster-4k. */
  readonly fixture?: string;
  readonly cut?: number;
  readonly at?: Readonly<Record<number, string>>;
}

/** Headers that both refuse, or read, alike. The fixture is version 3 with 4 KiB clusters. */
const EQUAL: Readonly<Record<string, Patch>> = {
  'version 0': { at: { 4: '00000000' } },
  'version 4': { at: { 4: '00000004' } },
  'clusters of 256 bytes': { at: { 20: '00000008' } },
  'clusters of 4 MiB': { at: { 20: '00000016' } },
  'header too short': { at: { 100: '00000060' } },
  'header longer than a cluster': { at: { 100: '00020000' } },
  'unknown feature': { at: { 72: '0000000000000100' } },
  'two unknown features': { at: { 72: '8000000000000020' } },
  'refcount order 7': { at: { 96: '00000007' } },
  'refcount order 2^32 - 1': { at: { 96: 'ffffffff' } },
  'encryption 3': { at: { 32: '00000003' } },
  'encryption -16777216': { at: { 32: 'ff000000' } },
  'backing name past the cluster': { at: { 8: '0000000000020000', 16: '00000010' } },
  'backing name too long': { at: { 8: '0000000000000200', 16: '00001000' } },
  'backing name over the end': { at: { 8: '0000000000000fff', 16: '00000010' } },
  'refcount table unaligned': { at: { 48: '0000000000001001' } },
  'refcount table above 2^56': { at: { 48: '8000000000000000' } },
  'no refcount table': { at: { 56: '00000000' } },
  'refcount table too large': { at: { 56: '00ffffff' } },
  'too many snapshots': { at: { 60: '00010001' } },
  'snapshot table unaligned': { at: { 64: '0000000000000001' } },
  'no active L1': { at: { 36: '00000000' } },
  'active L1 too large': { at: { 36: 'ffffffff' } },
  'active L1 unaligned': { at: { 40: '0000000000000001' } },
  'compression type without its bit': { at: { 104: '01' } },
  'compression bit without its type': { at: { 72: '0000000000000008' } },
  'compression type 2': { at: { 72: '0000000000000008', 104: '02' } },
  'extended L2 in small clusters': { at: { 72: '0000000000000010' } },
  'dirty and corrupt': { at: { 72: '0000000000000003' } },
  'extension too large': { at: { 112: '6803f857ffffffff' } },
  'unknown extension': { at: { 112: 'deadbeef00000020' } },
  'size not in sectors': { at: { 24: '0000000000030201' } },
  AES: { at: { 32: '00000001' } },
  'first 4 bytes': { cut: 4 },
  'first 100 bytes': { cut: 100 },
  'disk of 2^62 bytes': { at: { 24: '4000000000000000' } },
  'disk of 2^63 - 1 bytes': { at: { 24: '7fffffffffffffff' } },
  'refcount table at 0': { at: { 48: '0000000000000000' } },
  'disk of 1 TiB': { at: { 24: '0000010000000000' } },
  'bitmap of granularity 2^63': { fixture: 'bitmaps', at: { 143377: '3f' } },
  'bitmap with a flag that nobody knows': { fixture: 'bitmaps', at: { 143372: '00000082' } },
  'bitmap of another type': { fixture: 'bitmaps', at: { 143376: '02' } },
  'bitmap with no table': { fixture: 'bitmaps', at: { 143368: '00000000' } },
  'bitmap with too long a table': { fixture: 'bitmaps', at: { 143368: '00000009' } },
  'bitmaps bit without bitmaps': { at: { 88: '0000000000000001' } },
};

const DIFFERENT: Readonly<Record<string, readonly [DifferenceName, Patch]>> = {
  'header length of 108': ['header-length-odd', { at: { 100: '0000006c' } }],
  'disk of 2^63 bytes': ['huge-numbers', { at: { 24: 'ffffffffffffffff' } }],
  'active L1 at 2^56': ['table-out-of-range', { at: { 40: '0100000000000000' } }],
  'refcount table at 2^56': ['table-out-of-range', { at: { 48: '0100000000000000' } }],
  'reserved field of the bitmaps': [
    'own-words',
    { fixture: 'bitmaps-snapshots', at: { 126: '80' } },
  ],
  'snapshot table past the end': ['table-past-the-end', { at: { 64: '0000000000ff0000' } }],
  'first 8 bytes': ['short-header', { cut: 8 }],
};

function patched(patch: Patch): Uint8Array {
  const image = loadFixture(patch.fixture ?? 'cluster-4k');
  for (const [at, hex] of Object.entries(patch.at ?? {})) {
    image.set(Buffer.from(hex, 'hex'), Number(at));
  }
  return image.subarray(0, patch.cut);
}

/** With less than a header, QEMU takes what is missing for zeros once it is told the format. */
function commandsFor(patch: Patch): string[][] {
  const guessing = [['info'], ['info', '--output=json']];
  return patch.cut === undefined ? [...guessing, ['info', '-f', 'qcow2']] : guessing;
}

describeWithQemu('headers that are not as they should be', () => {
  const write = (patch: Patch): string => {
    const directory = temporaryDirectory();
    writeFileSync(path.join(directory, 'disk.qcow2'), patched(patch));
    return directory;
  };

  test.each(oneIn(2, Object.entries(EQUAL)))('equal: %s', async (_, patch) => {
    const directory = write(patch);
    for (const command of commandsFor(patch)) {
      const { ours, qemu } = await readBoth([...command, 'disk.qcow2'], directory);
      expect(ours).toEqual(qemu);
    }
  });

  test.each(Object.entries(DIFFERENT))('%s', async (_, [name, patch]) => {
    const pair = await readBoth(['info', 'disk.qcow2'], write(patch));
    expect(differencesOf(pair), JSON.stringify(pair)).toEqual([name]);
  });
});
