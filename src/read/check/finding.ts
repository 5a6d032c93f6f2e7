import type { Facts, Owner, Remedy, Severity, Structure } from './finding-parts.js';
import type { FindingCode } from './catalog.js';

/** One thing that a check found. A value: findings never refer back to the image. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** Not in QEMU's totals: QEMU doesn't look for it, or calls it sound. */
  readonly beyondQemu: boolean;
  readonly structure: Structure;
  /** Byte offset in the file of the wrong value, or of what leads to it. */
  readonly at: number;
  /** Index of the host cluster concerned; undefined where there is none. */
  readonly cluster: number | undefined;
  /** How often QEMU counts it: an L2 table is visited once for every pointer to it. */
  readonly times: number;
  readonly found: number | string | undefined;
  readonly expected: number | string | undefined;
  readonly facts: Facts;
  /** Who refers to `cluster`: at most `OWNERS_MAX` of them. Empty where nobody does. */
  readonly owners: readonly Owner[];
  /** References to `cluster` that `owners` leaves out. */
  readonly ownersLeftOut: number;
  /** What is wrong, one sentence without a full stop. */
  readonly message: string;
  /** What it may lead to. */
  readonly consequence: string;
  readonly remedy: Remedy;
  /** What to do about it. */
  readonly advice: string;
  /**
   * For a pointer that can't be right: the place that it may have named before one of its bits flipped. One
   * sentence without a full stop; undefined if no such place is known.
   */
  readonly hint: string | undefined;
}
