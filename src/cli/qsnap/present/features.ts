import type { Image } from '../../../index.js';

/** Names of feature bits by the qcow2 specification; the index is the bit. */
const KNOWN = {
  incompatible: [
    'dirty',
    'corrupt',
    'external data file',
    'compression type',
    'extended L2 entries',
  ],
  compatible: ['lazy refcounts'],
  autoclear: ['bitmaps', 'raw external data'],
} as const;

/**
 * Names of the bits that are set in one of the three feature words. A bit that the format knows has
 * the format's name; another has the name that the image gives it, or its number.
 */
export function featureNames(image: Image, kind: keyof typeof KNOWN): string[] {
  const word = image.header[kind];
  const known: readonly string[] = KNOWN[kind];
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((word >> BigInt(bit)) & 1n) === 1n) names.push(known[bit] ?? imageName(image, kind, bit));
  }
  return names;
}

function imageName(image: Image, kind: keyof typeof KNOWN, bit: number): string {
  for (const extension of image.extensions) {
    if (extension.kind !== 'feature-names') continue;
    const entry = extension.names.find((name) => name.kind === kind && name.bit === bit);
    if (entry !== undefined) return `${entry.name} (bit ${bit})`;
  }
  return `unknown (bit ${bit})`;
}
