/** Images with a history of writes, snapshots, deletes and ways back, made in memory. */
import {
  createImage,
  executePlan,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  type EditPlan,
  type OpenImage,
} from '../../src/index.js';
import type { BlockDevice } from '../../src/io/device.js';
import { planRewrite } from './many-snapshots.js';
import type { Random } from './model-random.js';

const CLUSTER_BYTES = 512;
/** In clusters of 512 bytes 16 L2 tables. */
const DISK_BYTES = 2 ** 19;
const L2_TABLES = 16;
const FIRST_SECONDS = 1_700_000_000;
const DAY_SECONDS = 86_400;

/** The bytes of an image after so many random steps. */
export async function randomHistory(random: Random, steps: number): Promise<Uint8Array> {
  const device = memoryDevice(new Uint8Array(0), 'history', { growable: true });
  await createImage(device, {
    diskSizeBytes: DISK_BYTES,
    version: 3,
    clusterBytes: CLUSTER_BYTES,
    refcountBits: 16,
    extendedL2: false,
    lazyRefcounts: false,
    compressionType: 'zlib',
    preallocation: 'metadata',
  });
  for (let step = 0; step < steps; step++) {
    const plan = await randomEdit(await openImage(device), random, step);
    if (plan !== undefined) await executePlan(plan);
  }
  return device.snapshotBytes();
}

type Planned = Promise<EditPlan<BlockDevice>> | undefined;

function randomEdit(image: OpenImage<BlockDevice>, random: Random, step: number): Planned {
  const { snapshots } = image;
  const one = snapshots[random.below(Math.max(1, snapshots.length))];
  const chance = random.below(10);
  if (chance < 4) {
    const first = random.below(L2_TABLES);
    return planRewrite(image, first, 1 + random.below(Math.min(4, L2_TABLES - first)));
  }
  if (chance < 8 || one === undefined) {
    const seconds = FIRST_SECONDS + Math.floor(step * DAY_SECONDS * 0.6) - random.below(3);
    const name = random.below(3) === 0 ? `keep\\${step}` : `auto-${step}`;
    return planCreate(image, { name, date: { seconds, nanoseconds: random.below(1e9) } });
  }
  return chance === 8 ? planDelete(image, [one]) : planApply(image, one, { discardChanges: true });
}
