/** Traps in VM states: streams that are sound, to be damaged, and streams that claim far more than they hold. */
import { mappedStream, smallStream } from '../../support/vm-stream.js';
import { made, type Trap } from './trap.js';
import { vmStateImage } from './vm-image.js';

export const VM_TRAPS: readonly Trap[] = [
  made('a VM state of a small machine', true, () => vmStateImage([{ at: 0, bytes: smallStream() }])),
  made('a VM state with mapped RAM', true, () =>
    vmStateImage([{ at: 0, bytes: mappedStream().bytes }]),
  ),
];
