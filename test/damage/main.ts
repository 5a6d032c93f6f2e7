/**
 * The measuring run: `npm run damage -- --images 500 --seed 1`. A line for each failure, a table by kind
 * at the end, exit code 1 where something failed. `--only KIND` keeps to one kind. `--index I`, with the
 * other options of the run, makes one damage again, and `--keep DIR` saves the sound, the damaged and the
 * repaired image of it, or of all that failed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Campaign } from './campaign.js';
import { countOf, FAILURES, rescueTableOf, storiesOf, tableOf } from './figures.js';
import { KINDS } from './kinds.js';
import { byQsnap } from './rescued.js';
import { mendByQsnap } from './subjects.js';
import type { Trial } from './trial.js';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    index: { type: 'string' },
    keep: { type: 'string' },
    /** The share of damages with guest writes after the repair: one in so many; 0 is none. */
    writes: { type: 'string', default: '4' },
    /** A class for the repair, or a finding; more than one may be given. */
    class: { type: 'string', multiple: true, default: [] },
    /** Judges `qemu-img check -r all` as well. */
    qemu: { type: 'boolean', default: false },
    /** Tells how much of each disk can be read of the damaged image as it is. */
    shares: { type: 'boolean', default: false },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function keep(folder: string, { specimen }: Trial): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const save = (state: string, bytes: Uint8Array): void => {
    writeFileSync(join(folder, `${specimen.index}-${state}.qcow2`), bytes);
  };
  save('sound', specimen.sound.image.bytes);
  save('damaged', specimen.bytes);
  const { bytes } = await mendByQsnap(specimen.bytes, values.class);
  if (bytes !== undefined) save('repaired', bytes);
}

async function run(): Promise<number> {
  const seed = Number(values.seed);
  if (values.only !== undefined && !KINDS.has(values.only)) {
    print(`kinds: ${[...KINDS.keys()].join('; ')}`);
    return 1;
  }
  const one = values.index;
  const indices =
    one === undefined ? Array.from({ length: Number(values.images) }, (_, i) => i) : [Number(one)];
  const campaign = await Campaign.start({
    seed,
    only: values.only,
    writesOneIn: one === undefined ? Number(values.writes) : 1,
    withQemu: values.qemu,
    repairWords: values.class,
    rescue: values.shares ? byQsnap : undefined,
  });
  const started = Date.now();
  const trials = await campaign
    .run(indices, async (trial) => {
      const stories = storiesOf(trial, seed);
      for (const story of stories) print(story);
      const { specimen, qsnap } = trial;
      if (one !== undefined) print(`${specimen.kind}: ${specimen.where}\n${JSON.stringify(qsnap)}`);
      if (values.keep === undefined || (stories.length === 0 && one === undefined)) return;
      await keep(values.keep, trial);
    })
    .finally(() => {
      campaign.close();
    });
  const seconds = (Date.now() - started) / 1000;
  print(`\n${tableOf(trials, 'qsnap')}`);
  if (values.qemu) print(`\n${tableOf(trials, 'qemu')}`);
  if (values.shares) print(`\n${rescueTableOf(trials)}`);
  print(`\n${trials.length} images in ${seconds.toFixed(1)} s, seed ${seed}`);
  return FAILURES.some((column) => countOf(trials, column) > 0) ? 1 : 0;
}

process.exitCode = await run();
