import { printableText } from '../../base/text.js';
import type { FeatureName } from '../../qcow2/features.js';
import { AUTOCLEAR, COMPATIBLE, HEADER_V3, INCOMPATIBLE } from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import { cutOff, type Piece } from './piece.js';

const KINDS = [
  ['incompatible', HEADER_V3.incompatible.at, INCOMPATIBLE],
  ['compatible', HEADER_V3.compatible.at, COMPATIBLE],
  ['autoclear', HEADER_V3.autoclear.at, AUTOCLEAR],
] as const;

/**
 * A field for each bit of the feature words that is known or set.
 *
 * @param piece the header, of version 3 or later.
 * @param names what the image itself calls its features.
 * Spec: Header, Feature name table.
 */
export function featureFields({ at, bytes }: Piece, names: readonly FeatureName[]): DumpedField[] {
  const fields: DumpedField[] = [];
  for (const [kind, wordAt, known] of KINDS) {
    const knownNames = new Map<number, string>(
      Object.entries(known).map(([name, bit]) => [bit, name]),
    );
    for (let bit = 0; bit < 64; bit++) {
      const from = wordAt + 7 - Math.floor(bit / 8);
      const byte = bytes[from];
      const isSet = byte !== undefined && ((byte >>> (bit % 8)) & 1) === 1;
      const knownName = knownNames.get(bit);
      if (knownName === undefined && !isSet) continue;
      const own = names.find((one) => one.kind === kind && one.bit === bit)?.name;
      const field = {
        part: 'features' as const,
        structure: `${kind}_features`,
        name: `bit ${bit}`,
        at: at + from,
        length: 1,
        bytes: bytes.slice(from, from + 1),
      };
      const name = knownName ?? (own === undefined ? 'unknown' : printableText(own));
      const isUnknown = kind === 'incompatible' && knownName === undefined;
      fields.push(
        byte === undefined
          ? cutOff(field)
          : {
              ...field,
              value: isSet ? 1 : 0,
              text: `${name}: ${isSet ? 'set' : 'clear'}`,
              ...(isUnknown && { problem: { expected: 'incompatible feature bits 0 to 4' } }),
            },
      );
    }
  }
  return fields;
}
