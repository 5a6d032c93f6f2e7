import { numberOf } from '../options.js';
import type { OptionSpec, Rule, Violation } from '../rule.js';

const MIN: OptionSpec = { kind: 'bytes', about: 'At least this size' };
const MAX: OptionSpec = { kind: 'bytes', about: 'At most this size' };

function outside(
  what: string,
  bytes: number,
  { min, max }: { readonly min: number | undefined; readonly max: number | undefined },
  at: number | undefined,
): readonly Violation[] {
  const facts = { bytes };
  const violation = (message: string): readonly Violation[] => [
    { message, ...(at !== undefined && { at, length: 8 }), facts },
  ];
  if (min !== undefined && bytes < min) {
    return violation(`${what} has ${bytes} bytes, and ${min} is the least that is allowed`);
  }
  if (max !== undefined && bytes > max) {
    return violation(`${what} has ${bytes} bytes, and ${max} is the most that is allowed`);
  }
  return [];
}

/** Byte offset of the disk's size. */
const SIZE_AT = 24;

/** Rules about sizes. */
export const SIZE_RULES: readonly Rule[] = [
  {
    id: 'QS1401',
    name: 'disk-size',
    title: 'Every virtual disk has a size within the bounds',
    reason: 'Who converts an image to raw gets a file of this size, however small the image is.',
    needs: [],
    options: { min: MIN, max: MAX },
    idleWithout: ['min', 'max'],
    judge: ({ image }, options) => {
      const bounds = { min: numberOf(options, 'min'), max: numberOf(options, 'max') };
      return [
        ...outside('the disk', image.header.diskSizeBytes, bounds, SIZE_AT),
        ...image.snapshots.flatMap(({ id, diskSizeBytes, at }) =>
          outside(`the disk of snapshot ${id}`, diskSizeBytes, bounds, at),
        ),
      ];
    },
  },
  {
    id: 'QS1402',
    name: 'file-size',
    title: 'The file has a size within the bounds',
    reason: 'A store has a limit, and a transfer takes its time.',
    needs: [],
    options: { min: MIN, max: MAX },
    idleWithout: ['min', 'max'],
    judge: ({ image }, options) => {
      const bounds = { min: numberOf(options, 'min'), max: numberOf(options, 'max') };
      return outside('the file', image.fileSizeBytes, bounds, undefined);
    },
  },
  {
    id: 'QS1403',
    name: 'size-ratio',
    title: 'The disk is not many times as large as the file',
    reason:
      'An image of some kilobytes may claim a disk of exabytes: who unpacks it fills the store of the host.',
    needs: [],
    options: {
      max: { kind: 'count', about: 'How many times at most', default: 10_000 },
      above: { kind: 'bytes', about: 'Disks up to this size may have any ratio', default: 2 ** 30 },
    },
    judge: ({ image }, options) => {
      const { fileSizeBytes, header } = image;
      const [max, above] = [numberOf(options, 'max')!, numberOf(options, 'above') ?? 0];
      const ratio = Math.floor(header.diskSizeBytes / fileSizeBytes);
      if (ratio <= max || header.diskSizeBytes <= above) return [];
      const message = `the disk is ${ratio} times as large as the file; the most allowed is ${max} times`;
      return [{ message, at: SIZE_AT, length: 8, facts: { ratio, max } }];
    },
  },
];
