import type { DeviceData } from './device.js';
import { textFont, type Picture, type TextFont } from './text-picture.js';

/** What a VGA device shows, and where in its memory that lies. */
export type ScreenMode =
  | {
      readonly kind: 'text';
      readonly columns: number;
      readonly rows: number;
      /** Byte offset of the first cell in video memory; a cell takes 4 bytes. */
      readonly at: number;
      readonly lineBytes: number;
      readonly font: TextFont;
    }
  | {
      readonly kind: 'pixels';
      readonly width: number;
      readonly height: number;
      readonly bitsPerPixel: number;
      readonly at: number;
      readonly lineBytes: number;
    }
  | { readonly kind: 'unknown'; readonly reason: string };

const CELL_BYTES = 4;
/** QEMU's own bounds of the VBE registers. */
const PIXELS_MAX = { width: 16_000, height: 12_000 } as const;

/** In which mode a device of QEMU's standard VGA is. Source: QEMU's `hw/display/vga.c`. */
export function screenMode(vga: DeviceData): ScreenMode {
  const graphics = vga.bytesOf('vga/gr');
  const crtc = vga.bytesOf('vga/cr');
  if (graphics === undefined || crtc === undefined) {
    return { kind: 'unknown', reason: 'the device has no registers of VGA' };
  }
  const vbe = (index: number): number => Number(vga.numberOf('vga/vbe_regs', index) ?? 0n);
  if ((vbe(4) & 1) !== 0) return pixelMode(vga, vbe);
  if ((graphics[6]! & 1) !== 0) {
    return { kind: 'unknown', reason: 'it is in a graphics mode of VGA with planes' };
  }
  const overflow = crtc[7]!;
  const height = crtc[0x12]! + ((overflow & 0x02) << 7) + ((overflow & 0x40) << 3) + 1;
  const cellHeight = (crtc[9]! & 0x1f) + 1;
  const start = crtc[0x0c]! * 256 + crtc[0x0d]!;
  return {
    kind: 'text',
    columns: crtc[1]! + 1,
    rows: Math.floor(height / cellHeight),
    at: start * CELL_BYTES,
    lineBytes: crtc[0x13]! * 2 * CELL_BYTES,
    font: textFont(vga, cellHeight),
  };
}

function pixelMode(vga: DeviceData, vbe: (index: number) => number): ScreenMode {
  const [width, height, bitsPerPixel] = [vbe(1), vbe(2), vbe(3)];
  if (bitsPerPixel !== 24 && bitsPerPixel !== 32) {
    return { kind: 'unknown', reason: `it shows ${bitsPerPixel} bits a pixel` };
  }
  const lineBytes = Number(vga.numberOf('vga/vbe_line_offset') ?? 0n);
  const isSound =
    width > 0 &&
    height > 0 &&
    width <= PIXELS_MAX.width &&
    height <= PIXELS_MAX.height &&
    lineBytes >= (width * bitsPerPixel) / 8;
  if (!isSound) return { kind: 'unknown', reason: 'its registers tell no size' };
  const at = Number(vga.numberOf('vga/vbe_start_addr') ?? 0n) * 4;
  return { kind: 'pixels', width, height, bitsPerPixel, at, lineBytes };
}

/** Bytes of video memory that a screen takes from `at` on. */
export function screenBytes(mode: Exclude<ScreenMode, { kind: 'unknown' }>): number {
  return mode.lineBytes * (mode.kind === 'text' ? mode.rows : mode.height);
}

/** Characters of IBM's code page 437 below 0x20 and from 0x7f on. */
const CP437_LOW = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const CP437_HIGH =
  '⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';

/** The lines of a text screen, without the blanks at their ends. */
export function textScreen(
  { columns, rows, lineBytes }: Extract<ScreenMode, { kind: 'text' }>,
  memory: Uint8Array,
): string[] {
  return Array.from({ length: rows }, (_, row) => {
    let line = '';
    for (let column = 0; column < columns; column += 1) {
      line += characterOf(memory[row * lineBytes + column * CELL_BYTES] ?? 0);
    }
    return line.trimEnd();
  });
}

function characterOf(code: number): string {
  if (code < 0x20) return CP437_LOW[code]!;
  return code < 0x7f ? String.fromCharCode(code) : CP437_HIGH[code - 0x7f]!;
}

/** The pixels of a screen. */
export function pixelPicture(
  { width, height, bitsPerPixel, lineBytes }: Extract<ScreenMode, { kind: 'pixels' }>,
  memory: Uint8Array,
): Picture {
  const rgb = new Uint8Array(width * height * 3);
  const step = bitsPerPixel / 8;
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    for (let from = y * lineBytes; to < (y + 1) * width * 3; from += step, to += 3) {
      rgb[to] = memory[from + 2] ?? 0;
      rgb[to + 1] = memory[from + 1] ?? 0;
      rgb[to + 2] = memory[from] ?? 0;
    }
  }
  return { width, height, rgb };
}
