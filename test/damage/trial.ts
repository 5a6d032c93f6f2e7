/** One damage, put through check, repair, QEMU's check and guest writes, and what the oracle says of it. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pick, seededRandom, type Random } from '../support/mutate.js';
import type { Anatomy } from './anatomy.js';
import { guestWrites, writeAsGuest } from './guest-writes.js';
import { harmOf, hurtByWrites, lostIn, statesOf, type Harm, type States } from './judge.js';
import { KINDS, type Damaged } from './kinds.js';
import { PlainImage } from './plain-image.js';
import { readLeft } from './qemu-tools.js';
import { sharesOfBytes, type Rescue, type Share } from './rescued.js';
import { errorsByQemu, isCalledSound, mendByQemu, mendByQsnap, type Mended } from './subjects.js';

export interface Specimen extends Damaged {
  readonly index: number;
  readonly kind: string;
  readonly sound: Anatomy;
}

/** What is counted of a subject; texts say what was found. */
export interface Judgement extends Harm {
  /** A loss that could be known, and the check's exit code was 0 or 3. */
  readonly soundAfterLoss?: string;
  readonly refused?: string;
  /** The same after the repair. */
  readonly soundAfterRepair?: string;
  readonly hurtByWrites?: string;
  readonly qemuDisagrees?: string;
  readonly fault?: string;
  /** QEMU ended by a signal or not in time, or left a file too large to look at. */
  readonly unjudged?: string;
}

export interface Trial {
  readonly specimen: Specimen;
  /** What the damage lost that can be known. */
  readonly loss: string | undefined;
  readonly qsnap: Judgement;
  readonly hasGuestWrites: boolean;
  readonly qemu?: Judgement;
  /** What a rescue brought back of each disk. */
  readonly shares?: readonly Share[];
}

const ATTEMPTS = 40;

/** The damage of a run's seed and an index; its kind follows from the index, or is given. */
export function specimenOf(
  seed: number,
  index: number,
  anatomies: readonly Anatomy[],
  only?: string,
): Specimen {
  const names = [...KINDS.keys()];
  const kind = only ?? names[index % names.length]!;
  const random = seededRandom(seed * 1_000_003 + index);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const sound = pick(random, anatomies);
    const others = anatomies.filter((each) => each !== sound);
    const damaged = KINDS.get(kind)!({ anatomy: sound, others }, random);
    if (damaged === undefined) continue;
    if (Buffer.compare(damaged.bytes, sound.image.bytes) === 0) continue;
    return { ...damaged, index, kind, sound };
  }
  throw new Error(`seed ${seed}, index ${index}: no image takes damage of the kind "${kind}"`);
}

export interface TrialOptions {
  /** Where images are put for QEMU. */
  readonly folder: string;
  readonly withGuestWrites: boolean;
  /** Whether QEMU's repair is judged as well. */
  readonly withQemu: boolean;
  readonly rescue?: Rescue | undefined;
  /** What the repair is told to do; plain by default. */
  readonly repairWords?: readonly string[] | undefined;
}

export async function runTrial(specimen: Specimen, options: TrialOptions): Promise<Trial> {
  const states = statesOf(specimen.sound, specimen.bytes);
  const path = join(options.folder, `${specimen.index}.qcow2`);
  const random = seededRandom(specimen.index);
  const mended = await mendByQsnap(specimen.bytes, options.repairWords);
  const qsnap = {
    ...judge(states, mended),
    ...(await judgeThroughQemu(states, mended, path, random, options.withGuestWrites)),
  };
  const qemu = options.withQemu
    ? await judgeQemu(states, specimen, path, options.withGuestWrites)
    : undefined;
  rmSync(path, { force: true });
  return {
    specimen,
    loss: lostIn(states, states.damaged),
    qsnap,
    hasGuestWrites: options.withGuestWrites,
    ...(qemu && { qemu }),
    ...(options.rescue && { shares: await sharesBy(options.rescue, specimen) }),
  };
}

async function sharesBy(rescue: Rescue, { sound, bytes }: Specimen): Promise<readonly Share[]> {
  return sharesOfBytes(sound.plain, bytes, await rescue(bytes));
}

function judge(states: States, { before, bytes, after, fault }: Mended): Judgement {
  const loss = lostIn(states, states.damaged);
  const repaired = bytes && PlainImage.of(bytes);
  const still = bytes && lostIn(states, repaired);
  return {
    ...(loss !== undefined &&
      isCalledSound(before) && { soundAfterLoss: `${before.said}: ${loss}` }),
    ...(bytes === undefined && { refused: after.said }),
    ...(bytes !== undefined && bytes !== states.damaged?.bytes && harmOf(states, repaired)),
    ...(still !== undefined &&
      isCalledSound(after) && { soundAfterRepair: `${after.said}: ${still}` }),
    ...(fault !== undefined && { fault }),
  };
}

async function judgeThroughQemu(
  states: States,
  { bytes, after }: Mended,
  path: string,
  random: Random,
  withGuestWrites: boolean,
): Promise<Judgement> {
  const isRepaired = bytes !== undefined && bytes !== states.damaged?.bytes;
  if (!isRepaired && !isCalledSound(after)) return {};
  writeFileSync(path, bytes!);
  const errors = isCalledSound(after) ? await errorsByQemu(path) : undefined;
  const hurt = withGuestWrites ? await writesHurt(states, bytes!, path, random) : {};
  return { ...(errors !== undefined && { qemuDisagrees: errors }), ...hurt };
}

async function writesHurt(
  states: States,
  bytes: Uint8Array,
  path: string,
  random: Random,
): Promise<Judgement> {
  const repaired = PlainImage.of(bytes);
  if (repaired === undefined) return {};
  const writes = guestWrites(random, states.sound.plain.layout.diskSizeBytes);
  const { isLost, output } = await writeAsGuest(path, writes);
  const left = isLost ? undefined : readLeft(path);
  if (left === undefined) return { unjudged: output.slice(0, 200) };
  const written = PlainImage.of(left);
  const hurt = hurtByWrites(states, repaired, written, writes);
  return hurt === undefined ? {} : { hurtByWrites: hurt };
}

async function judgeQemu(
  states: States,
  { index, bytes }: Specimen,
  path: string,
  withGuestWrites: boolean,
): Promise<Judgement> {
  const mended = await mendByQemu(bytes, path);
  if (mended.isUnjudged === true) return { unjudged: mended.after.said };
  const random = seededRandom(index);
  return {
    ...judge(states, mended),
    ...(withGuestWrites && (await writesHurt(states, mended.bytes!, path, random))),
  };
}
