import { backingName, type Extent, type GuestDisk, type Image } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { hexText } from '../../text.js';

/** Widths of the columns; a number that needs more pushes only its own row. */
const WIDTHS = [16, 16, 14, 16] as const;
const TITLES = ['START', 'LENGTH', 'KIND', 'HOST OFFSET', 'FILE'];

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0))
    .join('')
    .trimEnd();
}

/** The titles of the table. */
export function mapTitle(): string {
  return row(TITLES);
}

/** Lines of the table. */
export function mapLines(
  extents: readonly Extent[],
  image: Image,
  disk: GuestDisk,
): readonly string[] {
  const layers = [disk, ...disk.chain];
  return extents.map(({ start, length, kind, at, depth, reason }) => {
    const host = at === undefined ? '-' : hexText(at);
    return row([hexText(start), hexText(length), kind, host, fileText()]);

    function fileText(): string {
      if (reason !== undefined) return `(${reason})`;
      if (kind === 'backing') return `${printableText(backingName(image) ?? '')} (not opened)`;
      return kind === 'unallocated' ? '-' : printableText(layers[depth]!.dataLabel);
    }
  });
}
