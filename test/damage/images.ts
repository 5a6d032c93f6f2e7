/**
 * Sound images to be damaged: made by QEMU's tools, with three snapshots and changes of the disk between
 * them. The same bytes each time: what they hold follows from a seed, and dates are set afterwards.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { executePlan, memoryDevice, openImage, planCreate } from '../../src/index.js';
import { seededRandom, type Random } from '../support/mutate.js';
import { snapshotsOf } from '../support/image-builder-layout.js';
import { guestData } from './guest-data.js';
import { runSurely } from './qemu-tools.js';

export interface SoundImage {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The file as it was before the last snapshot, and before the one before that. */
  readonly earlier: readonly Uint8Array[];
}

const KiB = 1024;
const MiB = 1024 * KiB;

/** One image while it is made. */
class Workshop {
  readonly #folder: string;
  readonly #path: string;
  readonly #random: Random;
  readonly #earlier: Uint8Array[] = [];
  #files = 0;
  #snapshots = 0;

  constructor(folder: string, name: string, seed: number) {
    this.#folder = folder;
    this.#path = join(folder, `${name}.qcow2`);
    this.#random = seededRandom(seed);
  }

  create(size: string, options = ''): Promise<void> {
    const chosen = options === '' ? [] : ['-o', options];
    return runSurely('qemu-img', ['create', '-q', '-f', 'qcow2', ...chosen, this.#path, size]);
  }

  /** The image begins as a compressed copy of this much data. */
  async createCompressed(bytes: number): Promise<void> {
    const raw = this.#file(guestData(this.#random, bytes));
    const args = ['convert', '-c', '-m', '1', '-f', 'raw', '-O', 'qcow2', raw, this.#path];
    await runSurely('qemu-img', args);
  }

  /** `count` writes of up to `most` bytes somewhere from `from` to `end`. */
  write(count: number, most: number, from: number, end: number, unit = 4 * KiB): Promise<void> {
    const commands = Array.from({ length: count }, () => {
      const length = unit * (1 + this.#random(most / unit));
      const at = from + unit * this.#random(Math.floor((end - from - length) / unit));
      return `write -q -s ${this.#file(guestData(this.#random, length))} ${at} ${length}`;
    });
    return this.#io(commands);
  }

  discard(count: number, bytes: number, end: number): Promise<void> {
    const at = (): number => bytes * this.#random(end / bytes);
    return this.#io(Array.from({ length: count }, () => `discard -q ${at()} ${bytes}`));
  }

  /** VM state as a running machine leaves it behind its disk. */
  writeVmState(bytes: number): Promise<void> {
    return this.#io([`write -q -b -P ${1 + this.#random(255)} 0 ${bytes}`]);
  }

  async snapshot(): Promise<void> {
    this.#keep();
    this.#snapshots += 1;
    await runSurely('qemu-img', ['snapshot', '-c', `state ${this.#snapshots}`, this.#path]);
    this.#setDate();
  }

  async snapshotByQsnap(): Promise<void> {
    this.#keep();
    this.#snapshots += 1;
    const device = memoryDevice(this.#bytes());
    const date = { seconds: 1_700_000_000 + this.#snapshots, nanoseconds: 0 };
    const name = `state ${this.#snapshots}`;
    await executePlan(await planCreate(await openImage(device), { name, date }));
    writeFileSync(this.#path, device.snapshotBytes());
  }

  deleteSnapshot(number: number): Promise<void> {
    return runSurely('qemu-img', ['snapshot', '-d', `state ${number}`, this.#path]);
  }

  async finish(name: string): Promise<SoundImage> {
    await runSurely('qemu-img', ['check', '-q', '-f', 'qcow2', this.#path]);
    return { name, bytes: this.#bytes(), earlier: this.#earlier.slice(-2).reverse() };
  }

  #io(commands: readonly string[]): Promise<void> {
    const args = commands.flatMap((command) => ['-c', command]);
    return runSurely('qemu-io', ['-f', 'qcow2', ...args, this.#path]);
  }

  #file(bytes: Uint8Array): string {
    const path = join(this.#folder, `data-${this.#files++}`);
    writeFileSync(path, bytes);
    return path;
  }

  #bytes(): Uint8Array {
    return new Uint8Array(readFileSync(this.#path));
  }

  #keep(): void {
    this.#earlier.push(this.#bytes());
  }

  #setDate(): void {
    const bytes = this.#bytes();
    const { at } = snapshotsOf(bytes).snapshots.at(-1)!;
    const view = new DataView(bytes.buffer);
    view.setUint32(at + 16, 1_700_000_000 + this.#snapshots);
    view.setUint32(at + 20, 0);
    writeFileSync(this.#path, bytes);
  }
}

type Recipe = (shop: Workshop) => Promise<void>;

/** Three times: some writes, then a snapshot; then writes after the last. */
const inTurns =
  (writes: (shop: Workshop, turn: number) => Promise<void>): Recipe =>
  async (shop) => {
    for (let turn = 0; turn < 3; turn++) {
      await writes(shop, turn);
      await shop.snapshot();
    }
    await writes(shop, 3);
  };

const RECIPES: Readonly<Record<string, Recipe>> = {
  plain: async (shop) => {
    await shop.create('16M');
    await inTurns((each) => each.write(8, 192 * KiB, 0, 16 * MiB))(shop);
  },
  'clusters of 4 KiB': async (shop) => {
    await shop.create('16M', 'cluster_size=4k');
    await inTurns((each) => each.write(16, 32 * KiB, 0, 16 * MiB))(shop);
  },
  'clusters of 1 KiB': async (shop) => {
    await shop.create('4M', 'cluster_size=1k');
    await inTurns((each) => each.write(24, 16 * KiB, 0, 4 * MiB, KiB))(shop);
  },
  'several L2 tables': async (shop) => {
    await shop.create('2G');
    await inTurns(async (each, turn) => {
      await each.write(3, 128 * KiB, 0, 400 * MiB);
      await each.write(3, 128 * KiB, 600 * MiB, 1000 * MiB);
      if (turn < 2) await each.write(2, 128 * KiB, 1500 * MiB, 2048 * MiB);
    })(shop);
  },
  'compressed clusters': async (shop) => {
    await shop.createCompressed(3 * MiB);
    await inTurns((each) => each.write(4, 128 * KiB, 0, 3 * MiB))(shop);
  },
  'extended L2': async (shop) => {
    await shop.create('8M', 'extended_l2=on,cluster_size=64k');
    await inTurns((each) => each.write(10, 96 * KiB, 0, 8 * MiB, 2 * KiB))(shop);
  },
  'version 2': async (shop) => {
    await shop.create('16M', 'compat=0.10');
    await inTurns((each) => each.write(8, 128 * KiB, 0, 16 * MiB))(shop);
  },
  'VM state': async (shop) => {
    await shop.create('8M', 'cluster_size=16k');
    await inTurns(async (each, turn) => {
      await each.write(8, 64 * KiB, 0, 8 * MiB);
      if (turn < 2) await each.writeVmState(128 * KiB);
    })(shop);
  },
  'grown by work': async (shop) => {
    await shop.create('32M', 'lazy_refcounts=on');
    for (let turn = 0; turn < 4; turn++) {
      await shop.write(30, 16 * KiB, 0, 24 * MiB);
      await shop.snapshot();
      await shop.discard(4, 64 * KiB, 24 * MiB);
    }
    await shop.deleteSnapshot(2);
    await shop.write(20, 16 * KiB, 0, 32 * MiB);
  },
  'grown by work, small clusters': async (shop) => {
    await shop.create('16M', 'cluster_size=4k');
    for (let turn = 0; turn < 4; turn++) {
      await shop.write(60, 8 * KiB, 0, 12 * MiB);
      await shop.snapshot();
      await shop.discard(10, 16 * KiB, 12 * MiB);
    }
    await shop.deleteSnapshot(3);
    await shop.write(40, 8 * KiB, 0, 16 * MiB);
  },
  'edited by qsnap': async (shop) => {
    await shop.create('16M', 'cluster_size=32k');
    for (let turn = 0; turn < 3; turn++) {
      await shop.write(8, 128 * KiB, 0, 16 * MiB);
      await (turn === 0 ? shop.snapshot() : shop.snapshotByQsnap());
    }
    await shop.write(6, 128 * KiB, 0, 16 * MiB);
  },
};

/** Makes all of them in a folder that holds nothing else. */
export async function makeSoundImages(folder: string): Promise<readonly SoundImage[]> {
  const made = Object.entries(RECIPES).map(async ([name, recipe], i) => {
    const own = join(folder, String(i));
    mkdirSync(own);
    const shop = new Workshop(own, 'image', 1000 + i);
    await recipe(shop);
    return shop.finish(name);
  });
  return Promise.all(made);
}
