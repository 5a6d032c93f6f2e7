import { printableText } from '../../../internal.js';
import { sizeText } from '../../text.js';
import { displayWidth } from '../../columns.js';
import { diskName, shortened } from './disk-name.js';
import { escapedXml, svgOf } from './svg.js';
import type { TreeRow } from './tree-rows.js';
import { APPLIED_LAST } from './snapshot-text.js';

/** The tree as a graph in the language of Graphviz. An edge that may be another one is dashed. */
export function treeDot(path: string, rows: readonly TreeRow[]): string[] {
  const nodes = rows.map(({ descent, isAppliedLast }) => {
    const { snapshot } = descent;
    const mark = isAppliedLast ? ` ${APPLIED_LAST}` : '';
    const shape = snapshot === undefined ? ', shape=box' : '';
    return `  ${nodeOf(snapshot?.index)} [label=${quoted(`${diskName(descent.snapshot)}${mark}`)}${shape}];`;
  });
  const edges = rows.flatMap(({ descent }) => {
    const { parent, snapshot, certainty, newBytes } = descent;
    if (parent === undefined) return [];
    const style = certainty === 'tied' ? ', style=dashed' : '';
    const label = quoted(sizeText(newBytes));
    return [`  ${nodeOf(parent.index)} -> ${nodeOf(snapshot?.index)} [label=${label}${style}];`];
  });
  return [`digraph ${quoted(printableText(path))} {`, '  rankdir=LR;', ...nodes, ...edges, '}'];
}

const nodeOf = (index: number | undefined): string =>
  index === undefined ? 'active' : `s${index}`;

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

const ROW_HEIGHT = 28;
const STEP = 26;
const MARGIN = 24;
const NAME_CHARACTERS_MAX = 60;
/** A guess, since whoever shows the picture has a font of their own. */
const CELL_WIDTH = 8;
const SIZE_WIDTH = 90;

/** The tree as a picture that stands alone. A line that may lead elsewhere is dashed. */
export function treeSvg(path: string, rows: readonly TreeRow[]): string {
  const right = rows.reduce((so, row) => Math.max(so, xOf(row) + textWidthOf(row)), 0);
  const [width, height] = [right + MARGIN, 2 * MARGIN + rows.length * ROW_HEIGHT];
  const title = `Which snapshot of ${printableText(path)} grew from which`;
  const lines = rows.map((row, i) => lineOf(row, i, rows));
  return svgOf({ width, height, title }, [...lines, ...rows.map(nodeShape)]);
}

const xOf = ({ column }: TreeRow): number => MARGIN + column * STEP;
const yOf = (row: number): number => MARGIN + row * ROW_HEIGHT + ROW_HEIGHT / 2;

function labelOf({ descent: { snapshot, certainty }, isAppliedLast }: TreeRow): string {
  const doubt = certainty === 'tied' || certainty === 'untold' ? ' ?' : '';
  const name = shortened(diskName(snapshot), NAME_CHARACTERS_MAX);
  return `${isAppliedLast ? `${APPLIED_LAST} ` : ''}${name}${doubt}`;
}

const textWidthOf = (row: TreeRow): number => displayWidth(labelOf(row)) * CELL_WIDTH + SIZE_WIDTH;

function lineOf(row: TreeRow, i: number, rows: readonly TreeRow[]): string {
  if (row.parentRow === undefined) return '';
  const parent = rows[row.parentRow]!;
  const dash = row.descent.certainty === 'tied' ? ' stroke-dasharray="3 3"' : '';
  return (
    `<path d="M${xOf(parent)} ${yOf(row.parentRow)}V${yOf(i)}H${xOf(row)}" ` +
    `fill="none" stroke="#7a8a99"${dash}/>`
  );
}

function nodeShape(row: TreeRow, i: number): string {
  const { descent, isAppliedLast } = row;
  const [x, y] = [xOf(row), yOf(i)];
  const shape =
    descent.snapshot === undefined
      ? `<rect x="${x - 5}" y="${y - 5}" width="10" height="10" fill="#17456f"/>`
      : `<circle cx="${x}" cy="${y}" r="5" fill="${isAppliedLast ? '#17456f' : '#fff'}" stroke="#17456f" stroke-width="2"/>`;
  const size = sizeText(descent.newBytes);
  return (
    `${shape}<text x="${x + 14}" y="${y + 4}">${escapedXml(labelOf(row))}` +
    `<tspan dx="10" fill="#666">+${size}</tspan></text>`
  );
}
