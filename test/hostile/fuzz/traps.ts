import { CLAIM_TRAPS } from './traps-claims.js';
import { DATA_TRAPS } from './traps-data.js';
import { VM_TRAPS } from './traps-vm.js';
import type { Trap } from './trap.js';

/** All of them. */
export const TRAPS: readonly Trap[] = [...CLAIM_TRAPS, ...DATA_TRAPS, ...VM_TRAPS];
