import { counted } from '../../base/text.js';
import { numberOf } from '../options.js';
import type { Rule } from '../rule.js';

/** Byte offset of the encryption method. */
const METHOD_AT = 32;
/** Rounds of the key derivation that cryptsetup and QEMU exceed on any machine of today; below it a passphrase is guessed soon. */
const ITERATIONS_MIN = 100_000;

/** Rules about encryption. Nothing is decrypted for them. */
export const ENCRYPTION_RULES: readonly Rule[] = [
  {
    id: 'QS1501',
    name: 'encrypted',
    title: 'The image is encrypted with LUKS',
    reason: 'Whoever gets a copy of the file reads what the guest wrote.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      image.header.encryption === 'luks'
        ? []
        : [{ message: 'the guest data is not encrypted with LUKS', at: METHOD_AT, length: 4 }],
  },
  {
    id: 'QS1502',
    name: 'not-encrypted',
    title: 'The image is not encrypted',
    reason:
      'A scanner can look at nothing in an encrypted image, and a host without the key can not start it.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      image.header.encryption === 'none'
        ? []
        : [
            {
              message: `the guest data is encrypted (${image.header.encryption})`,
              at: METHOD_AT,
              length: 4,
            },
          ],
  },
  {
    id: 'QS1503',
    name: 'legacy-aes',
    title: 'The image is not encrypted in the old way',
    reason:
      'The old AES of qcow2 derives its key from the passphrase itself: QEMU has given it up as insecure.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      image.header.encryption === 'aes'
        ? [{ message: 'the guest data is encrypted with the old AES', at: METHOD_AT, length: 4 }]
        : [],
  },
  {
    id: 'QS1504',
    name: 'luks-iterations',
    title: 'Every passphrase is derived with enough rounds',
    reason: 'With few rounds a stolen file lets a machine try millions of passphrases a second.',
    needs: [],
    options: {
      min: { kind: 'count', about: 'Rounds that are enough', default: ITERATIONS_MIN },
    },
    judge: ({ image, luks }, options) => {
      const min = numberOf(options, 'min')!;
      const at = headerAt(image.extensions);
      return (luks?.slots ?? []).flatMap(({ active, iterations }, slot) => {
        if (!active || iterations >= min) return [];
        const message = `key slot ${slot} has ${iterations} rounds, and ${min} are wanted`;
        return [{ message, at: slotAt(at, slot), length: 48, facts: { slot, iterations, min } }];
      });
    },
  },
  {
    id: 'QS1505',
    name: 'luks-slots',
    title: 'No more passphrases open the image than allowed',
    reason:
      'Each slot in use is a passphrase that somebody knows, and one left over from a template opens every copy.',
    needs: [],
    options: { max: { kind: 'count', about: 'Slots that may be in use', default: 1 } },
    judge: ({ image, luks, luksProblem }, options) => {
      const at = headerAt(image.extensions);
      if (luksProblem !== undefined) {
        return [{ message: `the key slots can't be read: ${luksProblem.message}`, at }];
      }
      const max = numberOf(options, 'max')!;
      const used = (luks?.slots ?? []).filter(({ active }) => active).length;
      if (used <= max) return [];
      const message = `${counted(used, 'key slot')} in use; the most allowed is ${max}`;
      return [{ message, at, facts: { slots: used, max } }];
    },
  },
];

function headerAt(extensions: Parameters<Rule['judge']>[0]['image']['extensions']): number {
  for (const extension of extensions) {
    if (extension.kind === 'encryption-header') return extension.header.at;
  }
  return METHOD_AT;
}

/** LUKS1 on-disk format, figures 1 and 2. */
const slotAt = (headerAtBytes: number, slot: number): number => headerAtBytes + 208 + slot * 48;
