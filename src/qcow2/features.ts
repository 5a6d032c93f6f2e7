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

/**
 * Names of the incompatible bits that qsnap does not know, by the image's own name table where it
 * has one, printable. Empty when all are known.
 *
 * @param headerBytes the first bytes of the file, with as much of the extensions as was read.
 */
export function unknownFeatureNames(
  header: { readonly incompatible: bigint; readonly headerBytes: number },
  headerBytes: Uint8Array,
): readonly string[] {
  const known = Object.values(INCOMPATIBLE).reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
  const unknown = header.incompatible & ~known;
  if (unknown === 0n) return [];
  const table = findFeatureNames(headerBytes, header.headerBytes);
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if ((unknown & (1n << BigInt(bit))) === 0n) continue;
    const entry = table.find((name) => name.kind === 'incompatible' && name.bit === bit);
    names.push(
      entry === undefined ? `unknown bit ${bit}` : `${printableText(entry.name)} (bit ${bit})`,
    );
  }
  return names;
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
