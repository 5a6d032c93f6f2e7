/** The loop of the fuzzer: mutate, put through everything, keep what reaches code for the first time. */
import type { OpenImage } from '../../../src/index.js';
import { pick, seededRandom } from '../../support/mutate.js';
import { Coverage } from './coverage.js';
import { editEverything } from './edits.js';
import { gatherEvidence } from './evidence.js';
import { Faces } from './faces.js';
import { Meter, type Peaks } from './meter.js';
import { mutated } from './mutations.js';
import { readEverything } from './reads.js';
import { seedCorpus, type Seed } from './seeds.js';
import type { Specimen } from './specimen.js';

/** A specimen that reached code which none before it had. */
interface Kept {
  readonly name: string;
  readonly specimen: Specimen;
  /** How likely it is to be chosen: small ones are tried in less time. */
  readonly weight: number;
}

/** What a campaign found wrong. */
export interface Failure {
  readonly input: number;
  /** From which seed, and what was done to it. */
  readonly story: string;
  readonly specimen: Specimen;
  readonly faults: readonly string[];
}

export interface Figures {
  readonly inputs: number;
  readonly uses: number;
  readonly opened: number;
  readonly blocksCovered: number;
  readonly blocksKnown: number;
  readonly corpus: number;
  readonly seeds: number;
  readonly refusalCodes: number;
  readonly peaks: Peaks;
}

export interface CampaignOptions {
  readonly seed: number;
  /** The largest seed that is taken, in bytes. */
  readonly largestSeedBytes?: number;
  /** Whether the traps are among the seeds, too; default true. */
  readonly withTraps?: boolean;
  /** Told of each specimen before it is tried, so that a hang leaves a trace. */
  readonly onInput?: (specimen: Specimen, story: string) => void;
}

/** Larger fixtures take the time of many small ones. */
const LARGEST_SEED_BYTES = 1e6;
/** Command lines that an input is given to, of some forty. */
const COMMANDS = 3;

/** One fuzzing campaign; the same seed and number of inputs make the same one. */
export class Campaign {
  readonly failures: Failure[] = [];
  readonly #coverage = Coverage.start();
  readonly #faces = new Faces();
  readonly #corpus: Kept[] = [];
  readonly #peaks: Peaks = { cpuMs: 0, pieceBytes: 0, residentBytes: 0 };
  readonly #refusals = new Set<string>();
  readonly #seed: number;
  readonly #onInput: CampaignOptions['onInput'];
  #inputs = 0;
  #uses = 0;
  #opened = 0;
  #seeds = 0;

  readonly #left: Iterator<Seed>;
  #planted: boolean;

  constructor({ seed, onInput, largestSeedBytes, withTraps }: CampaignOptions) {
    this.#seed = seed;
    this.#onInput = onInput;
    this.#left = seedCorpus(largestSeedBytes ?? LARGEST_SEED_BYTES, withTraps ?? true);
    this.#planted = false;
  }

  /** Tries the seeds; returns how many there are. */
  async plant(): Promise<number> {
    while (!this.#planted) await this.step();
    return this.#seeds;
  }

  close(): void {
    this.#coverage.stop();
    this.#faces.close();
  }

  /** Tries a seed, once they are all tried a mutant; keeps what reached code for the first time. */
  async step(): Promise<void> {
    const input = this.#inputs++;
    const { story, specimen } = this.#next(input);
    this.#onInput?.(specimen, story);
    const meter = new Meter(specimen, this.#peaks);
    const seed = this.#seed + input;
    const image = await meter.whole(() => putThrough(specimen, seed, meter));
    this.#opened += Number(image !== undefined);
    await this.#faces.run(specimen, image, meter, { count: COMMANDS, random: seededRandom(seed) });
    this.#uses += meter.uses;
    for (const code of meter.refusals) this.#refusals.add(code);
    const { faults } = meter;
    if (faults.length > 0) this.failures.push({ input, story, specimen, faults });
    if (this.#coverage.take() > 0) this.#keep(story, specimen);
  }

  #next(input: number): { readonly story: string; readonly specimen: Specimen } {
    const seed = this.#left.next();
    if (seed.done !== true) {
      this.#seeds += 1;
      return { story: seed.value.name, specimen: seed.value.specimen };
    }
    this.#planted = true;
    const random = seededRandom(this.#seed + input);
    const [from, other] = [this.#choose(random), pick(random, this.#corpus)];
    const { specimen, description } = mutated(from.specimen, other.specimen, random);
    return { story: `${from.name} | ${description}`, specimen };
  }

  #keep(name: string, specimen: Specimen): void {
    const weight = 1 / (16 + specimen.bytes.length / 4096);
    this.#corpus.push({ name: name.slice(0, 400), specimen, weight });
  }

  #choose(random: (end: number) => number): Kept {
    const total = this.#corpus.reduce((sum, { weight }) => sum + weight, 0);
    let left = (random(2 ** 30) / 2 ** 30) * total;
    for (const kept of this.#corpus) {
      left -= kept.weight;
      if (left < 0) return kept;
    }
    return this.#corpus.at(-1)!;
  }

  figures(): Figures {
    const { covered, known } = this.#coverage.blocks();
    return {
      inputs: this.#inputs,
      uses: this.#uses,
      opened: this.#opened,
      blocksCovered: covered,
      blocksKnown: known,
      corpus: this.#corpus.length,
      seeds: this.#seeds,
      refusalCodes: this.#refusals.size,
      peaks: this.#peaks,
    };
  }
}

/** Everything but the command lines; the image where the specimen opens. */
export async function putThrough(
  specimen: Specimen,
  seed: number,
  meter: Meter,
): Promise<OpenImage | undefined> {
  const { image, readable, check } = await readEverything(specimen, meter);
  await gatherEvidence({ specimen, readable, image, check }, meter);
  await editEverything(specimen, image, check, seededRandom(seed), meter);
  return image;
}
