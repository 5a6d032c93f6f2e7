import { bitsOf } from '../qcow2/features.js';
import { COMPATIBLE, INCOMPATIBLE, KNOWN_AUTOCLEAR } from '../qcow2/spec.js';

/** The name of an incompatible feature that qsnap knows. */
export type IncompatibleFeature = keyof typeof INCOMPATIBLE;

/** The incompatible features that are set and that qsnap knows, by ascending bit. */
export function incompatibleFeatures({
  incompatible,
}: {
  readonly incompatible: bigint;
}): readonly IncompatibleFeature[] {
  const set = new Set(bitsOf(incompatible));
  const all = Object.entries(INCOMPATIBLE) as [IncompatibleFeature, number][];
  return all.filter(([, bit]) => set.has(bit)).map(([name]) => name);
}

/** A bit that a reader may ignore, and that qsnap does not know. */
export interface OptionalBit {
  readonly kind: 'compatible' | 'autoclear';
  readonly bit: number;
}

/** The compatible and autoclear bits that qsnap does not know, ascending. */
export function unknownOptionalBits(header: {
  readonly compatible: bigint;
  readonly autoclear: bigint;
}): readonly OptionalBit[] {
  const compatible = bitsOf(header.compatible).filter(
    (bit) => bit !== COMPATIBLE['lazy refcounts'],
  );
  const autoclear = bitsOf(header.autoclear & ~KNOWN_AUTOCLEAR);
  return [
    ...compatible.map((bit) => ({ kind: 'compatible' as const, bit })),
    ...autoclear.map((bit) => ({ kind: 'autoclear' as const, bit })),
  ];
}
