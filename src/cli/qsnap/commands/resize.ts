import { planResize, type Image, type Preallocation } from '../../../index.js';
import { completeHeader, printableText } from '../../../internal.js';
import type { ExitCode } from '../../exit-codes.js';
import { countText, exactSizeText, sizeText, type SizeChange } from '../../text.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';

/** Flags of `resize`. */
export interface ResizeFlags extends EditFlags {
  readonly shrink?: boolean;
  readonly preallocation?: Preallocation;
}

/** `qsnap resize IMAGE SIZE` */
export function resize(
  path: string,
  { sign, bytes }: SizeChange,
  { shrink, preallocation, ...flags }: ResizeFlags,
  context: Context,
): Promise<ExitCode> {
  let [before, after] = [0, 0];
  return edit(
    {
      path,
      flags,
      plan: (image, planning) => {
        before = image.header.diskSizeBytes;
        after = sign === '' ? bytes : sign === '+' ? before + bytes : before - bytes;
        const options = { diskSizeBytes: after, shrink: shrink === true };
        const wish = preallocation === undefined ? {} : { preallocation };
        return planResize(image, { ...options, ...wish }, planning);
      },
      complete: completeHeader,
      doneLines: (_plan, _report, image) => [
        `Resized the disk of ${printableText(path)} from ${sizeText(before)} to ${exactSizeText(after)}.`,
        ...snapshotLines(image, after),
      ],
      plannedLines: (image) => snapshotLines(image, after),
    },
    context,
  );
}

/** What a later apply does to the size. */
function snapshotLines({ snapshots }: Image, sizeBytes: number): readonly string[] {
  const others = snapshots.filter(({ diskSizeBytes }) => diskSizeBytes !== sizeBytes);
  if (others.length === 0) return [];
  const sizes = new Set(others.map(({ diskSizeBytes }) => diskSizeBytes));
  const size = sizes.size === 1 ? ` (${sizeText([...sizes][0]!)})` : '';
  const have = others.length === 1 ? 'keeps its size' : 'keep their sizes';
  return [
    `${countText(others.length, 'snapshot')} ${have}${size}: to apply one gives the disk the size that it had then.`,
  ];
}
