import { printableText } from '../../base/text.js';
import { KiB } from '../../base/units.js';
import { unknownOptionalBits } from '../feature-bits.js';
import { COMPRESSION_TYPE_AT } from '../../qcow2/spec.js';
import { numberOf, textsOf } from '../options.js';
import type { AuditFacts, Rule, Violation } from '../rule.js';

/** One violation at a field of the header where `message` is there. */
function atField(at: number, length: number, message: string | undefined): readonly Violation[] {
  return message === undefined ? [] : [{ message, at, length }];
}

const INCOMPATIBLE_AT = 72;
const COMPATIBLE_AT = 80;
const AUTOCLEAR_AT = 88;

/** Unknown incompatible bits are not here: no image that has one is opened. */
function unknownBits({ image }: AuditFacts): readonly Violation[] {
  // Version 2 has no such words.
  if (image.header.version === 2) return [];
  return unknownOptionalBits(image.header).map(({ kind, bit }) => ({
    message: `the image has the unknown ${kind} feature bit ${bit}`,
    at: kind === 'compatible' ? COMPATIBLE_AT : AUTOCLEAR_AT,
    length: 8,
  }));
}

/** The one of some words that an image has, held against those that may be. */
function oneOf(
  found: string,
  allowed: readonly string[],
  at: number,
  length: number,
  what: string,
): readonly Violation[] {
  if (allowed.length === 0 || allowed.includes(found)) return [];
  const message = `${what} is ${found}, and only ${allowed.join(' or ')} is allowed`;
  return [{ message, at, length, facts: { found } }];
}

/** Rules about the header and its features. */
export const FORMAT_RULES: readonly Rule[] = [
  {
    id: 'QS1301',
    name: 'unknown-features',
    title: 'The image has no feature that the specification does not have',
    reason: 'What a feature changes is not known, so nobody can say what the image holds.',
    needs: [],
    options: {},
    judge: unknownBits,
  },
  {
    id: 'QS1302',
    name: 'dirty',
    title: 'The image is not marked dirty',
    reason:
      'It was in use when its program ended, and its refcounts may be wrong: QEMU repairs it at its next open.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      atField(INCOMPATIBLE_AT, 8, image.header.dirty ? 'the image is marked dirty' : undefined),
  },
  {
    id: 'QS1303',
    name: 'corrupt',
    title: 'The image is not marked corrupt',
    reason: 'QEMU found damage and opens it for reading alone.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      atField(
        INCOMPATIBLE_AT,
        8,
        image.header.markedCorrupt ? 'the image is marked corrupt' : undefined,
      ),
  },
  {
    id: 'QS1304',
    name: 'lazy-refcounts',
    title: 'The image has no lazy refcounts',
    reason:
      'After a crash refcounts are made anew from all tables, which takes long where an image is large.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      atField(
        COMPATIBLE_AT,
        8,
        image.header.lazyRefcounts ? 'the image has lazy refcounts' : undefined,
      ),
  },
  {
    id: 'QS1305',
    name: 'compat',
    title: 'The image has the wanted version of the format',
    reason: 'Version 2 has no zero clusters, no sizes of snapshots, and no place for features.',
    needs: [],
    options: {
      allow: { kind: 'words', words: ['0.10', '1.1'], about: 'One of these', default: ['1.1'] },
    },
    judge: ({ image }, options) =>
      oneOf(
        image.header.version === 2 ? '0.10' : '1.1',
        textsOf(options, 'allow'),
        4,
        4,
        'the compatibility level',
      ),
  },
  {
    id: 'QS1306',
    name: 'cluster-size',
    title: 'Clusters have the wanted size',
    reason: 'Small clusters cost many tables, large ones room and copies.',
    needs: [],
    options: {
      min: { kind: 'bytes', about: 'At least this size', default: 4 * KiB },
      max: { kind: 'bytes', about: 'At most this size' },
    },
    judge: ({ image }, options) => {
      const { clusterBytes } = image.geometry;
      const [min, max] = [numberOf(options, 'min') ?? 0, numberOf(options, 'max') ?? Infinity];
      const isFit = clusterBytes >= min && clusterBytes <= max;
      const wanted = max === Infinity ? `at least ${min}` : `${min} to ${max}`;
      return atField(
        20,
        4,
        isFit ? undefined : `clusters have ${clusterBytes} bytes, and ${wanted} are wanted`,
      );
    },
  },
  {
    id: 'QS1307',
    name: 'refcount-bits',
    title: 'Refcounts have the wanted width',
    reason: 'Narrow refcounts forbid snapshots: one of 1 bit allows none.',
    needs: [],
    options: {
      allow: {
        kind: 'words',
        words: ['1', '2', '4', '8', '16', '32', '64'],
        about: 'One of these widths in bits',
        default: ['16'],
      },
    },
    judge: ({ image }, options) =>
      oneOf(
        String(image.geometry.refcountBits),
        textsOf(options, 'allow'),
        96,
        4,
        'the width of refcounts in bits',
      ),
  },
  {
    id: 'QS1308',
    name: 'extended-l2',
    title: 'L2 entries are not extended',
    reason: 'Most other readers refuse images with subclusters.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      atField(
        INCOMPATIBLE_AT,
        8,
        image.header.extendedL2 ? 'the image has extended L2 entries' : undefined,
      ),
  },
  {
    id: 'QS1309',
    name: 'compression-type',
    title: 'Compressed clusters are packed in a wanted way',
    reason: 'QEMU before 5.1 and most other readers do not know zstd.',
    needs: [],
    options: {
      allow: {
        kind: 'words',
        words: ['zlib', 'zstd'],
        about: 'One of these',
        default: ['zlib'],
      },
    },
    judge: ({ image }, options) =>
      oneOf(
        image.header.compressionType,
        textsOf(options, 'allow'),
        COMPRESSION_TYPE_AT,
        1,
        'the compression type',
      ),
  },
  {
    id: 'QS1310',
    name: 'bitmaps',
    title: 'No persistent bitmap is in use',
    reason:
      'A bitmap in use was not saved when its program ended: a backup by it would leave out what changed.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      image.bitmaps
        .filter(({ inUse }) => inUse)
        .map(({ name, table }) => ({
          message: `the bitmap "${printableText(name)}" is in use`,
          at: table.at,
          facts: { bitmap: name },
        })),
  },
];
