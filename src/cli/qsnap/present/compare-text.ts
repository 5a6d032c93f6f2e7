import { type CompareReport } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { tableLines } from '../../columns.js';
import { countText, exactSizeText, hexText } from '../../text.js';
import { diskText, type ComparedSide } from './compared-side.js';

/** What is said of two disks. */
export function comparisonLines(a: ComparedSide, b: ComparedSide, report: CompareReport): string[] {
  const pair = `${sideText(a)} and ${sideText(b)}`;
  if (report.same) return [`${pair} have the same content.`, ...sizeLines(report, a, b)];
  const { rangeCount, differentBytes, ranges, firstDifferenceAt } = report;
  const rows = ranges.map(({ start, length }) => [hexText(start), String(length)]);
  const more = rangeCount - ranges.length;
  return [
    `${pair} differ in ${countText(rangeCount, 'range')} of ${exactSizeText(differentBytes)} in all; ` +
      `the first byte is at ${hexText(firstDifferenceAt!)}.`,
    ...sizeLines(report, a, b),
    ...(rows.length === 0 ? [] : tableLines(COLUMNS, rows)),
    ...(more === 0 || rows.length === 0 ? [] : [`and ${countText(more, 'range')} more`]),
  ];
}

const COLUMNS = [
  { title: 'START', align: 'right' },
  { title: 'BYTES', align: 'right' },
] as const;

function sideText({ path, format, snapshot }: ComparedSide): string {
  return format === 'raw' ? printableText(path) : diskText(path, snapshot);
}

function sizeLines({ diskBytes }: CompareReport, a: ComparedSide, b: ComparedSide): string[] {
  const [aBytes, bBytes] = diskBytes;
  if (aBytes === bBytes) return [];
  const [longer, shorter] = aBytes > bBytes ? [a, b] : [b, a];
  const bytes = exactSizeText(Math.abs(aBytes - bBytes));
  return [
    `${sideText(longer)} is ${bytes} longer than ${sideText(shorter)}; that rest was held to be zero.`,
  ];
}
