/** `vmstate memory --at`: guest memory on stdout. */
import { placesAt, placesInBlock } from '../../index.js';
import type { OpenedState } from './vmstate-opened.js';
import { printLines } from './context.js';
import { sent } from './sent.js';
import { blockNamed } from './vmstate-files.js';

const LENGTH = 256;
const LINE_BYTES = 16;

/** Prints a stretch of memory as a hex dump, or as it is. */
export async function printMemory({
  state,
  map,
  flags,
  open,
  context,
}: OpenedState): Promise<void> {
  const { at = 0, length = LENGTH, block } = flags;
  const places =
    block === undefined
      ? placesAt(map, at, length)
      : placesInBlock(blockNamed(state, block), at, length);
  const bytes = await state.readMemory(places, length);
  open.progress.stop();
  if (flags.raw === true) await sent(bytes, context.io.stdout);
  else printLines(context, hexDump(bytes, at));
}

/** Lines as `xxd` has them: offset, bytes by pairs, and what of them can be printed. */
function hexDump(bytes: Uint8Array, from: number): string[] {
  const digits = Math.max(8, (from + bytes.length).toString(16).length);
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; i += LINE_BYTES) {
    const line = bytes.subarray(i, i + LINE_BYTES);
    const words = Array.from({ length: LINE_BYTES / 2 }, (_, word) => {
      const pair = line.subarray(word * 2, word * 2 + 2);
      return Array.from(pair, (byte) => byte.toString(16).padStart(2, '0'))
        .join('')
        .padEnd(4);
    });
    const shown = Array.from(line, (byte) => {
      return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
    });
    const at = (from + i).toString(16).padStart(digits, '0');
    lines.push(`${at}: ${words.join(' ')}  ${shown.join('')}`);
  }
  return lines;
}
