/**
 * How two disks of one image differ in a stretch: what the second one has there.
 *
 * - `data`: data of its own, other than that of the first disk;
 * - `zeroed`: it reads as zeros by its own entries;
 * - `unmapped`: it has nothing there. It reads as the backing file does, or as zeros; behind its end there is nothing
 *   to read;
 * - `same-content`: the two have other clusters with the same bytes. Told only where content is compared.
 */
export type DiffKind = 'data' | 'zeroed' | 'unmapped' | 'same-content';

/** A stretch in which two disks of one image differ. */
export interface DiffRange {
  /** Guest offset in bytes. */
  readonly start: number;
  readonly length: number;
  readonly kind: DiffKind;
}
