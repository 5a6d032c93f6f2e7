/** The oracle itself: what it must not let pass it does not, and what is no fault it does not blame. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkImage, memoryDevice } from '../../src/index.js';
import { memoryDirectory } from '../support/directories.js';
import { blockAt, putRefcountAt, putU64, u64 } from '../support/image-builder-layout.js';
import { describeWithQemu } from '../support/qemu.js';
import type { Anatomy, StructureKind } from './anatomy.js';
import { Campaign } from './campaign.js';
import { harmOf, hurtByWrites, lostIn, statesOf, type Harm } from './judge.js';
import { KINDS } from './kinds.js';
import { PlainImage } from './plain-image.js';
import { sharesOf, sharesOfFiles } from './rescued.js';
import { specimenOf } from './trial.js';

let campaign: Campaign;

const anatomy = (name: string): Anatomy =>
  campaign.anatomies.find(({ image }) => image.name === name)!;

const placeOf = ({ structures }: Anatomy, kind: StructureKind): number =>
  structures.find((each) => each.kind === kind)!.at;

type Change = (bytes: Uint8Array) => void;

const changed = (from: Uint8Array, change: Change): Uint8Array => {
  const bytes = from.slice();
  change(bytes);
  return bytes;
};

/** What the oracle says of a damage, and of what somebody made of it. */
function judged(sound: Anatomy, damage: Change, repair: Change): Harm {
  const damaged = changed(sound.image.bytes, damage);
  return harmOf(statesOf(sound, damaged), PlainImage.of(changed(damaged, repair)));
}

const lossOf = (sound: Anatomy, damage: Change): string | undefined => {
  const states = statesOf(sound, changed(sound.image.bytes, damage));
  return lostIn(states, states.damaged);
};

const setRefcount = ({ plain }: Anatomy, at: number, value: bigint): Change => {
  const cluster = at / plain.clusterBytes;
  return (bytes) => {
    const block = blockAt(bytes, plain.layout, cluster);
    putRefcountAt(bytes, block, plain.layout.refcountBits, cluster, value);
  };
};

const zeroCluster =
  (at: number, clusterBytes: number): Change =>
  (bytes) =>
    bytes.fill(0, at, at + clusterBytes);

/** Byte offset of an entry in the active disk's first L2 table. */
const firstEntryOf = ({ plain }: Anatomy): number => {
  const [first] = plain.disks[0]!.tables.values();
  const [entry] = first!.table!.values();
  return entry!.at;
};

const nothing: Change = () => undefined;

describeWithQemu('the oracle', () => {
  beforeAll(async () => {
    campaign = await Campaign.start({ seed: 1, writesOneIn: 0, withQemu: false });
  });

  afterAll(() => {
    campaign.close();
  });

  test('starts from sound images with three snapshots, and reads all of them', async () => {
    for (const { image, plain } of campaign.anatomies) {
      expect(plain.disks, image.name).toHaveLength(4);
      for (const [cluster, count] of plain.references) {
        expect(plain.refcount(cluster), `${image.name}, cluster ${cluster}`).toBe(count);
      }
      for (const disk of plain.disks) {
        const unread = [...plain.mapped(disk)].filter(
          (guest) => plain.content(disk, guest) === 'unreadable',
        );
        expect(unread, image.name).toEqual([]);
      }
      expect((await checkImage(memoryDevice(image.bytes))).exitCode, image.name).toBe(0);
    }
  });

  test('does the same damage for the same seed, of every kind', () => {
    [...KINDS.keys()].forEach((kind, index) => {
      const [one, other] = [1, 2].map(() => specimenOf(5, index, campaign.anatomies));
      expect(one!.kind).toBe(kind);
      expect(other!.where).toBe(one!.where);
      expect(Buffer.compare(one!.bytes, other!.bytes), kind).toBe(0);
    });
  });

  test('blames nobody for what is as it was', () => {
    for (const sound of campaign.anatomies) {
      expect(lossOf(sound, nothing)).toBeUndefined();
      expect(judged(sound, nothing, nothing)).toEqual({});
    }
  });

  describe('sees a repair that', () => {
    test('frees what a lost table held', () => {
      const sound = anatomy('plain');
      const l1 = placeOf(sound, 'active L1');
      const l2 = placeOf(sound, 'active L2');
      const zeroed = zeroCluster(l1, sound.plain.clusterBytes);
      expect(judged(sound, zeroed, nothing)).toEqual({});
      expect(judged(sound, zeroed, setRefcount(sound, l2, 0n))).toEqual({ freed: '1 × active L2' });
    });

    test('lets fewer owners be counted than there are', () => {
      const sound = anatomy('plain');
      const { l1At } = sound.plain.disks[1]!;
      const shared = [...sound.plain.references].find(([, count]) => count === 4)![0];
      const repair = setRefcount(sound, shared * sound.plain.clusterBytes, 3n);
      const damage = zeroCluster(l1At, sound.plain.clusterBytes);
      expect(judged(sound, damage, repair)).toEqual({ freed: '1 × data' });
    });

    test('overwrites what a lost table held', () => {
      const sound = anatomy('clusters of 4 KiB');
      const l2s = sound.structures.filter(({ kind }) => kind === 'active L2');
      const { clusterBytes, references } = sound.plain;
      const { at: l2 } = l2s.find(({ at }) => references.get(at / clusterBytes) === 1)!;
      const { harmed } = judged(
        sound,
        zeroCluster(placeOf(sound, 'active L1'), clusterBytes),
        (bytes) => bytes.fill(1, l2, l2 + 100),
      );
      expect(harmed).toMatch(/^overwritten though intact: 1 × active L2/);
    });

    test('loses what read right', () => {
      const sound = anatomy('version 2');
      const { harmed } = judged(sound, nothing, (bytes) => {
        putU64(bytes, firstEntryOf(sound), 0n);
      });
      expect(harmed).toMatch(/^read right before: active: 1 clusters/);
    });

    test('makes up what could not be read', () => {
      const sound = anatomy('several L2 tables');
      const l1 = placeOf(sound, 'active L1');
      const misaligned: Change = (bytes) => {
        putU64(bytes, l1, u64(bytes, l1) ^ 0x200n);
      };
      expect(judged(sound, misaligned, nothing)).toEqual({});
      const { invented } = judged(sound, misaligned, (bytes) => {
        putU64(bytes, l1, 0n);
      });
      expect(invented).toMatch(/^active: \d+ clusters$/);
    });
  });

  test('sees guest writes that reach a snapshot', () => {
    const sound = anatomy('plain');
    const { plain } = sound;
    const snapshot = plain.disks[1]!;
    const guest = [...plain.mapped(snapshot)][0]!;
    const [cluster] = plain.hostClusters(plain.entry(snapshot, guest)!);
    const written = changed(sound.image.bytes, (bytes) => {
      bytes.fill(7, cluster! * plain.clusterBytes, (cluster! + 1) * plain.clusterBytes);
    });
    const states = statesOf(sound, sound.image.bytes);
    const writes = [{ at: guest * plain.clusterBytes, bytes: plain.clusterBytes }];
    const hurt = hurtByWrites(states, plain, PlainImage.of(written), writes);
    expect(hurt).toMatch(/^reads otherwise: snapshot 0: 1 clusters/);
    expect(hurtByWrites(states, plain, plain, writes)).toBeUndefined();
  });

  describe('knows what can not be known:', () => {
    test('bytes of guest data', () => {
      const sound = anatomy('plain');
      const at = placeOf(sound, 'data');
      expect(lossOf(sound, (bytes) => bytes.fill(9, at, at + 512))).toBeUndefined();
    });

    test('a zero flag, but not where version 2 has none', () => {
      const flagged = (sound: Anatomy): string | undefined => {
        const at = firstEntryOf(sound);
        return lossOf(sound, (bytes) => {
          putU64(bytes, at, u64(bytes, at) | 1n);
        });
      };
      expect(flagged(anatomy('plain'))).toBeUndefined();
      expect(flagged(anatomy('version 2'))).toBe('active: 1 clusters');
    });

    test('a few entries of a table, but not all of them', () => {
      const sound = anatomy('plain');
      const l2 = placeOf(sound, 'active L2');
      const at = firstEntryOf(sound);
      expect(lossOf(sound, (bytes) => bytes.fill(0, at, at + 8))).toBeUndefined();
      const { clusterBytes } = sound.plain;
      expect(lossOf(sound, zeroCluster(l2, clusterBytes))).toMatch(/^active: \d+ clusters$/);
    });

    test('tables that are as often referred to as each other', () => {
      const sound = anatomy('version 2');
      const [, one, other] = sound.plain.disks;
      const { bytes: source } = sound.image;
      const swapped = lossOf(sound, (bytes) => {
        bytes.set(source.subarray(one!.l1At, one!.l1At + 8), other!.l1At);
        bytes.set(source.subarray(other!.l1At, other!.l1At + 8), one!.l1At);
      });
      expect(swapped).toBeUndefined();
    });

    test('but the end of a file is known to be missing', () => {
      const sound = anatomy('plain');
      const states = statesOf(sound, sound.image.bytes.subarray(0, -1));
      expect(lostIn(states, states.damaged)).toMatch(/clusters/);
    });
  });

  test('tells how much of each disk came back', () => {
    for (const { image, plain } of campaign.anatomies) {
      for (const { bytes, back } of sharesOf(plain, image.bytes, [plain])) {
        expect(bytes, image.name).toBeGreaterThan(0);
        expect(back, image.name).toBe(bytes);
      }
    }
    const { plain, structures } = anatomy('plain');
    const l2 = structures.find(({ kind }) => kind === 'active L2')!;
    const without = changed(plain.bytes, (bytes) => bytes.fill(0, l2.at, l2.at + l2.bytes));
    const [active, ...snapshots] = sharesOf(plain, without, [PlainImage.of(without)!]);
    // What a snapshot has of it is the snapshot's, and is not found twice.
    expect(active!.back).toBe(0);
    // A table alone is lost: all data is where it was.
    expect(active!.there).toBe(active!.bytes);
    for (const { bytes, back } of snapshots) expect(back).toBe(bytes);
  });

  test('reads copies from files, and bears what is none', () => {
    const { plain } = anatomy('extended L2');
    const folder = memoryDirectory();
    const [copy, rubbish] = ['copy', 'rubbish'].map((name) => join(folder, name));
    writeFileSync(copy!, plain.bytes);
    writeFileSync(rubbish!, 'not an image');
    for (const { bytes, back } of sharesOfFiles(plain, plain.bytes, [rubbish!, copy!]))
      expect(back).toBe(bytes);
    for (const { back } of sharesOfFiles(plain, plain.bytes, [rubbish!])) expect(back).toBe(0);
  });
});
