import type { Specimen } from './specimen.js';
export interface Trap {
  readonly name: string;
  make(): Specimen;
}
export const TRAPS: readonly Trap[] = [];
