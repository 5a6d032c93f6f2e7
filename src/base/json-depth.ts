const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Whether lists and objects of a JSON text lie deeper in each other than `most`. What walks a value calls itself for
 * each level, and a text of a few kilobytes can be deeper than the stack.
 *
 * @param bytes of the text in UTF-8, which need not be valid.
 */
export function nestsDeeperThan(most: number, bytes: Uint8Array): boolean {
  let depth = 0;
  let isInText = false;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i]!;
    if (isInText && byte === BACKSLASH) i += 1;
    else if (byte === QUOTE) isInText = !isInText;
    else if (isInText) continue;
    else if (CLOSING.has(byte)) depth -= 1;
    else if (OPENING.has(byte)) {
      depth += 1;
      if (depth > most) return true;
    }
  }
  return false;
}
