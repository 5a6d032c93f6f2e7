import { printableText, utf8Text } from '../base/text.js';
import { EXTENSION_TYPE, INCOMPATIBLE } from './spec.js';

/** One entry of the feature name table. Spec: Feature name table. */
export interface FeatureName {
  readonly kind: 'incompatible' | 'compatible' | 'autoclear';
  readonly bit: number;
  readonly name: string;
}

const ENTRY_BYTES = 48;
const KINDS = ['incompatible', 'compatible', 'autoclear'] as const;

/** Decodes a feature name table; entries of unknown kind and a cut last entry are passed over. */
export function decodeFeatureNames(bytes: Uint8Array): readonly FeatureName[] {
  const names: FeatureName[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const kind = KINDS[bytes[at]!];
    if (kind === undefined) continue;
    const field = bytes.subarray(at + 2, at + ENTRY_BYTES);
    const end = field.indexOf(0);
    const name = utf8Text(end === -1 ? field : field.subarray(0, end));
    names.push({ kind, bit: bytes[at + 1]!, name });
  }
  return names;
}

/** An incompatible feature bit that qsnap does not know. */
export interface UnknownFeature {
  readonly bit: number;
  /** What the image's own name table calls it, as stored; undefined where it does not. */
  readonly name: string | undefined;
}

/**
 * The incompatible bits that qsnap does not know, ascending. Empty when all are known.
 *
 * @param headerBytes the first bytes of the file, with as much of the extensions as was read.
 */
export function unknownFeatures(
  header: { readonly incompatible: bigint; readonly headerBytes: number },
  headerBytes: Uint8Array,
): readonly UnknownFeature[] {
  const known = Object.values(INCOMPATIBLE).reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
  const unknown = header.incompatible & ~known;
  if (unknown === 0n) return [];
  const table = findFeatureNames(headerBytes, header.headerBytes);
  return bitsOf(unknown).map((bit) => {
    const entry = table.find((name) => name.kind === 'incompatible' && name.bit === bit);
    return { bit, name: entry?.name };
  });
}

/** The bits of a feature word that are set, ascending. */
export function bitsOf(word: bigint): readonly number[] {
  const bits = Array.from({ length: 64 }, (_, bit) => bit);
  return bits.filter((bit) => (word & (1n << BigInt(bit))) !== 0n);
}

/** An unknown feature as messages name it, printable. */
export function describeFeature({ bit, name }: UnknownFeature): string {
  return name === undefined ? `unknown bit ${bit}` : `${printableText(name)} (bit ${bit})`;
}

/** The feature name table among extensions that nobody has judged yet; stops at the first oddity. */
function findFeatureNames(bytes: Uint8Array, headerBytes: number): readonly FeatureName[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = headerBytes; at + 8 <= bytes.length;) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === EXTENSION_TYPE.end) break;
    if (type === EXTENSION_TYPE.featureNames) {
      return decodeFeatureNames(bytes.subarray(at + 8, at + 8 + length));
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return [];
}
