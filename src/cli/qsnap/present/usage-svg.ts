import type { DiskUsage, ImageUsage } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { sizeText } from '../../text.js';
import { diskName, shortened } from './disk-name.js';
import { escapedXml, svgOf } from './svg.js';

const WIDTH = 840;
const NAME_WIDTH = 220;
const BAR_WIDTH = 380;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;
const TOP = 56;

/** The three kinds of bytes: filled, hatched and dotted, so that they differ without colour, too. */
const KINDS = ['alone', 'shared', 'vm-state'] as const;
const KIND_TEXT = { alone: 'alone', shared: 'shared', 'vm-state': 'VM state' } as const;

/** The bars of `usage` as a picture. It stands alone: no script, no font, nothing from elsewhere. */
export function usageSvg(path: string, usage: ImageUsage): string {
  const disks = [usage.active, ...usage.snapshots];
  const longest = Math.max(...disks.map((disk) => disk.mappedBytes + disk.vmStateBytes), 1);
  const height = TOP + disks.length * ROW_HEIGHT + 16;
  const rows = disks.map((disk, row) => rowOf(disk, TOP + row * ROW_HEIGHT, longest));
  const title = `What the snapshots of ${printableText(path)} cost`;
  return svgOf({ width: WIDTH, height, title }, [PATTERNS, ...legend(), ...rows]);
}

const PATTERNS = `<defs>
<pattern id="shared" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#dbe7f3"/><rect width="2" height="6" fill="#2f6fab"/></pattern>
<pattern id="vm-state" width="6" height="6" patternUnits="userSpaceOnUse">
<rect width="6" height="6" fill="#f6e3c5"/><circle cx="3" cy="3" r="1.6" fill="#9a5b00"/></pattern>
</defs>`;

function fillOf(kind: (typeof KINDS)[number]): string {
  return kind === 'alone' ? '#17456f' : `url(#${kind})`;
}

function legend(): readonly string[] {
  return KINDS.map((kind, i) => {
    const x = NAME_WIDTH + i * 110;
    return (
      `<rect x="${x}" y="20" width="16" height="${BAR_HEIGHT}" fill="${fillOf(kind)}"/>` +
      `<text x="${x + 22}" y="33">${KIND_TEXT[kind]}</text>`
    );
  });
}

function rowOf(disk: DiskUsage, y: number, longest: number): string {
  const bytes = [disk.exclusiveBytes, disk.sharedBytes, disk.vmStateBytes];
  const baseline = y + BAR_HEIGHT - 3;
  let x = NAME_WIDTH;
  const bars = KINDS.map((kind, i) => {
    if (bytes[i] === 0) return '';
    const width = Math.max(1, (bytes[i]! / longest) * BAR_WIDTH);
    const bar = `<rect x="${rounded(x)}" y="${y}" width="${rounded(width)}" height="${BAR_HEIGHT}" fill="${fillOf(kind)}"/>`;
    x += width;
    return bar;
  });
  const freed =
    disk.ifDeleted === undefined ? '' : `, ${sizeText(disk.ifDeleted.freedBytes)} if deleted`;
  const name = shortened(diskName(disk.snapshot), NAME_CHARACTERS_MAX);
  const size = `${sizeText(disk.mappedBytes + disk.vmStateBytes)}${freed}`;
  return (
    `<text x="${NAME_WIDTH - 10}" y="${baseline}" text-anchor="end">${escapedXml(name)}</text>` +
    `${bars.join('')}<text x="${rounded(x + 8)}" y="${baseline}" fill="#444">${size}</text>`
  );
}

/** Longer names would run into the bars. */
const NAME_CHARACTERS_MAX = 28;

const rounded = (value: number): string => String(Number(value.toFixed(2)));
