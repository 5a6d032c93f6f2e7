import { utf8Bytes } from './text.js';

const ESCAPE = /\\(?:([nrt\\])|x([0-9a-f]{2})|u\{([0-9a-f]+)\})/g;
const SHORT: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

/** The bytes that `printable` shows as this text. */
export function printedBytes(text: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const match of text.matchAll(ESCAPE)) {
    const [whole, short, byte, character] = match;
    parts.push(utf8Bytes(text.slice(at, match.index)));
    if (byte !== undefined) parts.push(Uint8Array.of(Number.parseInt(byte, 16)));
    else if (character !== undefined) parts.push(characterBytes(character));
    else parts.push(utf8Bytes(SHORT[short!]!));
    at = match.index + whole.length;
  }
  parts.push(utf8Bytes(text.slice(at)));
  return joined(parts);
}

const characterBytes = (hex: string): Uint8Array =>
  utf8Bytes(String.fromCodePoint(Number.parseInt(hex, 16)));

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
