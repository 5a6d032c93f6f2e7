import type { DeviceData } from './device.js';

/** A picture as rows of red, green, blue. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** What characters of a text screen are drawn with. */
export interface TextFont {
  readonly cellWidth: 8 | 9;
  readonly cellHeight: number;
  /** Byte offsets in video memory of the two fonts that attributes choose from. */
  readonly at: readonly [number, number];
  /** Whether the ninth column of box-drawing characters is the eighth again. */
  readonly joinsBoxes: boolean;
  /** 16 colours of three bytes. */
  readonly colours: Uint8Array;
}

/** Fonts lie in the third of four planes, whose bytes take turns: there is room for eight of them. */
export const FONT_PLANE_BYTES = 8 * 8192 * 4;
const PLANES = 4;
const FONT_PLANE = 2;
/** Lines of a glyph, however many of them are shown. */
const GLYPH_LINES = 32;

/** How a device in text mode draws. Source: QEMU's `hw/display/vga.c`. */
export function textFont(vga: DeviceData, cellHeight: number): TextFont {
  const sequencer = vga.bytesOf('vga/sr') ?? new Uint8Array(8);
  const attributes = vga.bytesOf('vga/ar') ?? new Uint8Array(21);
  const select = sequencer[3]!;
  const first = ((select >> 4) & 1) | ((select << 1) & 6);
  const second = ((select >> 5) & 1) | ((select >> 1) & 6);
  return {
    cellWidth: (sequencer[1]! & 1) === 0 ? 9 : 8,
    cellHeight,
    at: [first * 8192 * PLANES + FONT_PLANE, second * 8192 * PLANES + FONT_PLANE],
    joinsBoxes: (attributes[0x10]! & 4) !== 0,
    colours: coloursOf(attributes, vga.bytesOf('vga/palette') ?? new Uint8Array(768)),
  };
}

function coloursOf(attributes: Uint8Array, palette: Uint8Array): Uint8Array {
  const colours = new Uint8Array(16 * 3);
  const isShort = (attributes[0x10]! & 0x80) !== 0;
  const select = attributes[0x14]!;
  for (let i = 0; i < 16; i += 1) {
    const low = attributes[i]!;
    const index = isShort
      ? ((select & 0xf) << 4) | (low & 0xf)
      : ((select & 0xc) << 4) | (low & 0x3f);
    for (let part = 0; part < 3; part += 1) {
      // 6 bits become 8.
      const six = palette[index * 3 + part]! & 0x3f;
      colours[i * 3 + part] = (six << 2) | ((six & 1) * 3);
    }
  }
  return colours;
}

/** A place of cells on a text screen, as `screenMode` tells it. */
interface TextGrid {
  readonly columns: number;
  readonly rows: number;
  readonly lineBytes: number;
}

/**
 * Draws a text screen with the font that lies in video memory. The cursor, which blinks, is left out.
 *
 * @param cells video memory from the first cell on.
 * @param fonts video memory from its beginning.
 * @returns undefined where there is no font.
 */
export function textPicture(
  { columns, rows, lineBytes }: TextGrid,
  font: TextFont,
  cells: Uint8Array,
  fonts: Uint8Array,
): Picture | undefined {
  const { cellWidth, cellHeight, colours } = font;
  if (!font.at.some((at) => hasFont(fonts, at))) return undefined;
  const width = columns * cellWidth;
  const height = rows * cellHeight;
  const rgb = new Uint8Array(width * height * 3);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const cell = row * lineBytes + column * PLANES;
      const [code, attribute] = [cells[cell] ?? 0, cells[cell + 1] ?? 0];
      const glyphAt = font.at[(attribute >> 3) & 1]! + code * GLYPH_LINES * PLANES;
      const joins = font.joinsBoxes && code >= 0xb0 && code <= 0xdf;
      for (let line = 0; line < cellHeight; line += 1) {
        const bits = fonts[glyphAt + line * PLANES] ?? 0;
        let to = ((row * cellHeight + line) * width + column * cellWidth) * 3;
        for (let x = 0; x < cellWidth; x += 1, to += 3) {
          const isSet = x < 8 ? (bits & (0x80 >> x)) !== 0 : joins && (bits & 1) !== 0;
          const colour = (isSet ? attribute & 0xf : attribute >> 4) * 3;
          rgb.set(colours.subarray(colour, colour + 3), to);
        }
      }
    }
  }
  return { width, height, rgb };
}

/** Whether any character has a shape. */
function hasFont(fonts: Uint8Array, at: number): boolean {
  for (let line = 0; line < 256 * GLYPH_LINES; line += 1) {
    // Glyphs of characters that are on the screen lie elsewhere than their cells.
    if ((fonts[at + line * PLANES] ?? 0) !== 0) return true;
  }
  return false;
}
