/** A plot of two curves over the size of the disk, both axes logarithmic, as SVG. */
export interface Point {
  readonly size: string;
  readonly ours: number;
  readonly theirs: number;
}

const WIDTH = 640;
const HEIGHT = 400;
const LEFT = 70;
const RIGHT = 110;
const TOP = 40;
const BOTTOM = 50;

export function plot(points: readonly Point[]): string {
  const all = points.flatMap(({ ours, theirs }) => [ours, theirs]);
  const low = Math.floor(Math.log10(Math.min(...all)));
  const high = Math.ceil(Math.log10(Math.max(...all)));
  const x = (i: number): number =>
    LEFT + (i / Math.max(1, points.length - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (seconds: number): number =>
    TOP + ((high - Math.log10(seconds)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const text = (at: string, words: string): string => `<text ${at}>${words}</text>`;
  const grid = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).map(
    (seconds) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(seconds)}" y2="${y(seconds)}" stroke="#ddd"/>` +
      text(`x="${LEFT - 8}" y="${y(seconds) + 4}" text-anchor="end"`, `${seconds} s`),
  );
  const labels = points.map(({ size }, i) =>
    text(`x="${x(i)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle"`, `${size}iB`),
  );
  const curve = (name: string, colour: string, of: (point: Point) => number): string => {
    const path = points.map((point, i) => `${x(i).toFixed(1)},${y(of(point)).toFixed(1)}`);
    const last = y(of(points.at(-1)!)) + 4;
    return (
      `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>` +
      path
        .map(
          (at) =>
            `<circle cx="${at.split(',')[0]}" cy="${at.split(',')[1]}" r="3" fill="${colour}"/>`,
        )
        .join('') +
      text(`x="${WIDTH - RIGHT + 10}" y="${last}" fill="${colour}"`, name)
    );
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(
      `x="${LEFT}" y="22" font-size="14"`,
      'Seconds for a snapshot, every cluster of the disk mapped',
    ),
    ...grid,
    ...labels,
    curve('qsnap', '#0a7', ({ ours }) => ours),
    curve('qemu-img 7.2', '#c33', ({ theirs }) => theirs),
    '</svg>',
    '',
  ].join('\n');
}
