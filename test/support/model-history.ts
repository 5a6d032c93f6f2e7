/** Images that QEMU has used for a while: guests wrote, snapshots were taken and some of them deleted. */
import { copyFileSync } from 'node:fs';
import { diskBytesOf, type ImageOptions } from './model-options.js';
import type { Random } from './model-random.js';
import { guest, guestCommands, onImage, type Twins } from './model-twin.js';

/** With narrow refcounts QEMU leaks what it can't count. */
export const isWide = ({ refcountBits }: ImageOptions): boolean => refcountBits >= 8;

/** A history of which some snapshots are left: their names. Both twins have it. */
export async function history(twins: Twins, random: Random): Promise<readonly string[]> {
  const { options, ours } = twins;
  let names: readonly string[] = [];
  for (let step = 0; step < 6; step++) {
    await guest(twins, guestCommands(random, options, diskBytesOf(options)));
    const name = `s${step}`;
    const { code } = await onImage(twins, ours, ['snapshot', '-c', name]);
    if (code === 0) names = [...names, name];
    copyFileSync(ours, twins.theirs);
  }
  const dropped = names.filter((_, i) => i % 2 === 0 || random.chance(0.3));
  for (const name of dropped) await onImage(twins, ours, ['snapshot', '-d', name]);
  copyFileSync(ours, twins.theirs);
  return names.filter((name) => !dropped.includes(name));
}
