/** Seeded chains of images: layers with tables of all kinds, written to here and there. */
import path from 'node:path';
import type { Random } from './model-random.js';
import { qemuImg, qemuIo } from './qemu.js';

/** What is made of one layer: its tables, its size, and what is written to it. */
export interface LayerPlan {
  readonly options: string;
  readonly mib: number;
  readonly commands: readonly string[];
}

/** Layers from the lowest up, written to in stretches shorter than clusters, too. */
export function chainPlan(random: Random): LayerPlan[] {
  const mib = 20 + random.below(200);
  return Array.from({ length: 1 + random.below(3) }, (_, layer) => {
    const layerMib = layer === 0 ? 10 + random.below(mib) : mib;
    const commands = Array.from({ length: random.below(4) }, () => commandIn(layerMib, random));
    return { options: tableOptions(random), mib: layerMib, commands };
  });
}

function tableOptions(random: Random): string {
  const clusters = random.pick(['4k', '16k', '64k', '64k']);
  const extended = clusters !== '4k' && random.below(2) === 1;
  return `extended_l2=${extended ? 'on' : 'off'},cluster_size=${clusters}`;
}

function commandIn(mib: number, random: Random): string {
  const at = random.below(mib);
  const length = 1 + random.below(Math.min(mib - at, 20));
  const part = `${at * 1024 + random.below(64)}k ${1 + random.below(5)}k`;
  return random.pick([
    ...['write -z', 'write -P 3', 'discard', 'write -z -u'].map(
      (how) => `${how} ${at}M ${length}M`,
    ),
    ...['write -P 3', 'write -P 0', 'write -z'].map((how) => `${how} ${part}`),
  ]);
}

/** The same with one thing or another changed, so that two chains differ late or not at all. */
export function changedPlan(plan: readonly LayerPlan[], random: Random): LayerPlan[] {
  return plan.map((layer) => ({
    options: random.below(3) === 0 ? tableOptions(random) : layer.options,
    mib: layer.mib,
    commands:
      random.below(3) === 0 ? [...layer.commands, commandIn(layer.mib, random)] : layer.commands,
  }));
}

export async function makeChain(
  folder: string,
  name: string,
  plan: readonly LayerPlan[],
): Promise<void> {
  for (const [i, { options, mib, commands }] of plan.entries()) {
    const image = i === plan.length - 1 ? name : `${name}${i}`;
    const below = i === 0 ? [] : ['-b', `${name}${i - 1}`, '-F', 'qcow2'];
    const argv = ['-f', 'qcow2', '-o', options, ...below, image, `${mib}M`];
    await qemuImg(['create', '-q', ...argv], { cwd: folder });
    const file = path.join(folder, image);
    await qemuIo(file, commands);
  }
}
