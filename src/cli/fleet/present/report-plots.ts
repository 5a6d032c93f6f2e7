import { escapedXml } from '../../qsnap/present/svg.js';
import { countText } from '../../text.js';

/** Plots of a report. Colours are classes of the page, so that they are right by day and by night. */

const WIDTH = 1000;

interface Bar {
  readonly label: string;
  readonly value: number;
  /** What is written behind it. */
  readonly text: string;
}

const ROW_HEIGHT = 28;
const BAR_HEIGHT = 16;
const LABEL_WIDTH = 165;
const BAR_WIDTH = 560;

/** A bar for each value, the longest as long as there is room. */
export function barPlot(title: string, bars: readonly Bar[]): string {
  const longest = Math.max(...bars.map(({ value }) => value), 1);
  const rows = bars.map(({ label, value, text }, row) => {
    const y = row * ROW_HEIGHT + 6;
    const width = value > 0 ? Math.max(1, (value / longest) * BAR_WIDTH) : 0;
    const baseline = y + BAR_HEIGHT - 3;
    return (
      `<text x="${LABEL_WIDTH - 10}" y="${baseline}" text-anchor="end">${escapedXml(label)}</text>` +
      `<rect class="bar" x="${LABEL_WIDTH}" y="${y}" width="${rounded(width)}" height="${BAR_HEIGHT}" rx="2"/>` +
      `<text class="soft" x="${rounded(LABEL_WIDTH + width + 8)}" y="${baseline}">${escapedXml(text)}</text>`
    );
  });
  return plotOf(title, bars.length * ROW_HEIGHT + 6, rows);
}

/** The states of an image, with a pattern each, since colours are not for everybody. */
const STATES = ['read', 'waiting', 'failed', 'gone'] as const;

const PATTERNS = `<defs>
<pattern id="waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" class="waiting-ground"/><rect width="2" height="6" class="waiting-mark"/></pattern>
<pattern id="gone" width="6" height="6" patternUnits="userSpaceOnUse">
<rect width="6" height="6" class="gone-ground"/><circle cx="3" cy="3" r="1.4" class="gone-mark"/></pattern>
</defs>`;

/** How many images are in which state: one bar of parts. */
export function statePlot(
  states: readonly { readonly state: string; readonly images: number }[],
): string {
  const all = states.reduce((sum, { images }) => sum + images, 0);
  let x = 0;
  const parts: string[] = [];
  const legend: string[] = [];
  for (const [i, state] of STATES.entries()) {
    const images = states.find((one) => one.state === state)?.images ?? 0;
    const width = all === 0 ? 0 : (images / all) * WIDTH;
    const fill =
      state === 'waiting' || state === 'gone' ? `fill="url(#${state})"` : `class="${state}"`;
    if (images > 0) {
      parts.push(
        `<rect ${fill} x="${rounded(x)}" width="${rounded(Math.max(1, width))}" height="22"/>`,
      );
    }
    x += width;
    const left = i * 200;
    legend.push(
      `<rect ${fill} x="${left}" y="36" width="14" height="14"/>` +
        `<text x="${left + 22}" y="48">${state}: ${countText(images, 'image')}</text>`,
    );
  }
  return plotOf('Images by state', 56, [PATTERNS, ...parts, ...legend]);
}

function plotOf(title: string, height: number, parts: readonly string[]): string {
  return [
    `<svg width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escapedXml(title)}</title>`,
    ...parts,
    '</svg>',
  ].join('\n');
}

const rounded = (value: number): string => String(Number(value.toFixed(2)));
