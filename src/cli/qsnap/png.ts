import { crc32, deflateSync } from 'node:zlib';
import type { Picture } from '../../index.js';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** 8 bits for each of red, green and blue; deflate; filters by line; not interlaced. */
const TRUE_COLOUR = [8, 2, 0, 0, 0];

/** A picture as a PNG file. Source: W3C's PNG specification, 5.3 and 11.2. */
export function pngOf({ width, height, rgb }: Picture): Uint8Array {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set(TRUE_COLOUR, 8);
  const lineBytes = width * 3;
  // Each line has a byte before it for its filter; 0 is none.
  const lines = new Uint8Array(height * (lineBytes + 1));
  for (let y = 0; y < height; y += 1) {
    lines.set(rgb.subarray(y * lineBytes, (y + 1) * lineBytes), y * (lineBytes + 1) + 1);
  }
  const parts = [
    SIGNATURE,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', new Uint8Array(0)),
  ];
  return Buffer.concat(parts);
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc32(bytes.subarray(4, 8 + content.length)));
  return bytes;
}
