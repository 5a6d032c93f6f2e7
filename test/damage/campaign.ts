/** A run of many damages: the sound images are made once, QEMU's tools run beside the judging. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endToolShell } from '../support/tool-shell.js';
import { anatomyOf, type Anatomy } from './anatomy.js';
import { makeSoundImages } from './images.js';
import type { Rescue } from './rescued.js';
import { runTrial, specimenOf, type Trial } from './trial.js';

export interface Orders {
  readonly seed: number;
  /** One kind alone. */
  readonly only?: string | undefined;
  /** Guest writes follow on one damage in so many; 0 is never. */
  readonly writesOneIn: number;
  readonly withQemu: boolean;
  /** Measures how much of each disk this brings back. */
  readonly rescue?: Rescue | undefined;
  /** What the repair is told to do; plain by default. */
  readonly repairWords?: readonly string[] | undefined;
}

const SHARED_MEMORY = '/dev/shm';
/** Trials under way at a time: while one waits for QEMU, others are judged. */
const TOGETHER = 3;

export class Campaign {
  readonly anatomies: readonly Anatomy[];
  readonly #orders: Orders;
  readonly #folder: string;

  private constructor(orders: Orders, folder: string, anatomies: readonly Anatomy[]) {
    this.#orders = orders;
    this.#folder = folder;
    this.anatomies = anatomies;
  }

  static async start(orders: Orders): Promise<Campaign> {
    const parent = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir();
    const folder = mkdtempSync(join(parent, 'qsnap-damage-'));
    try {
      const images = await makeSoundImages(folder);
      return new Campaign(orders, folder, images.map(anatomyOf));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Runs the damages of these indices; `onTrial` hears of each as it ends. */
  async run(
    indices: readonly number[],
    onTrial: (trial: Trial) => Promise<void> | void = () => undefined,
  ): Promise<readonly Trial[]> {
    const trials: Trial[] = [];
    const waiting = [...indices];
    const work = async (): Promise<void> => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
        const trial = await this.trial(index);
        trials.push(trial);
        await onTrial(trial);
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, work));
    return trials.sort((one, other) => one.specimen.index - other.specimen.index);
  }

  trial(index: number): Promise<Trial> {
    const { seed, only, writesOneIn, ...orders } = this.#orders;
    const specimen = specimenOf(seed, index, this.anatomies, only);
    // Not by the index alone: kinds come in turn, and each is to have its share.
    const turn = Math.imul(index + 1, 0x9e37_79b1) >>> 8;
    const withGuestWrites = writesOneIn > 0 && turn % writesOneIn === 0;
    return runTrial(specimen, { ...orders, folder: this.#folder, withGuestWrites });
  }

  close(): void {
    endToolShell();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
