import type { MemoryMap, Snapshot, VmState } from '../../index.js';
import type { Context } from './context.js';
import type { OpenedImage } from './reading.js';

/** What of a VM state is asked for. */
export type VmStatePart = 'info' | 'extract' | 'memory' | 'regs' | 'screen';

/** Flags of `vmstate`. */
export interface VmStateFlags {
  readonly output?: string;
  /** How guest memory is written. */
  readonly format?: 'raw' | 'padded' | 'elf' | 'lime';
  readonly block?: string;
  readonly at?: number;
  readonly length?: number;
  readonly raw?: boolean;
  readonly low?: number;
  readonly cpu?: number;
  readonly text?: boolean;
  readonly force?: boolean;
  readonly passphraseFile?: string;
}

/** A VM state that is open, and all that a part of the command needs. */
export interface OpenedState {
  readonly open: OpenedImage;
  readonly snapshot: Snapshot;
  readonly state: VmState;
  readonly map: MemoryMap;
  readonly flags: VmStateFlags;
  readonly context: Context;
  readonly signal: AbortSignal;
}
