/** JSON as QEMU prints it: four spaces a level, ASCII only. */

/** A value to print. Strings are byte strings; members come in the order that they have here. */
export type Tree =
  string | number | bigint | boolean | readonly Tree[] | { readonly [key: string]: Tree };

export function isList(value: Tree): value is readonly Tree[] {
  return Array.isArray(value);
}

export function jsonText(value: Tree, indent = ''): string {
  if (typeof value === 'string') return jsonString(value);
  if (typeof value !== 'object') return String(value);
  const inner = `${indent}    `;
  const items = isList(value)
    ? value.map((item) => jsonText(item, inner))
    : Object.entries(value).map(([key, item]) => `${jsonString(key)}: ${jsonText(item, inner)}`);
  const [open, close] = isList(value) ? '[]' : '{}';
  return [`${open!}\n`, items.map((item) => inner + item).join(',\n'), items.length > 0 ? '\n' : '']
    .concat(indent, close!)
    .join('');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function jsonString(bytes: string): string {
  let out = '"';
  for (const character of decodeLikeQemu(bytes)) {
    out += ESCAPES[character] ?? asciiOf(character);
  }
  return `${out}"`;
}

function asciiOf(character: string): string {
  if (character >= ' ' && character <= '~') return character;
  let out = '';
  for (let i = 0; i < character.length; i++) {
    out += `\\u${character.charCodeAt(i).toString(16).toUpperCase().padStart(4, '0')}`;
  }
  return out;
}

const REPLACEMENT = '\ufffd';
/** The lowest code point that a sequence of so many bytes may stand for. */
const LEAST_OF_LENGTH = [0, 0, 0x80, 0x800, 0x10000];

/**
 * UTF-8 decoded as QEMU's JSON does. Where the standard decoder replaces each bad part, this one
 * replaces a sequence as a whole, by the length that its first byte claims; noncharacters count as
 * bad, and C0 80 is a zero. Measured with 7.2.
 */
function decodeLikeQemu(bytes: string): string {
  let out = '';
  for (let at = 0; at < bytes.length;) {
    const first = bytes.charCodeAt(at);
    const length = claimedLength(first);
    let taken = 1;
    let code = length === 1 ? first : first & (0x7f >> length);
    while (taken < length && (bytes.charCodeAt(at + taken) & 0xc0) === 0x80) {
      code = code * 64 + (bytes.charCodeAt(at + taken) & 0x3f);
      taken += 1;
    }
    const isModifiedZero = bytes.startsWith('\xc0\x80', at);
    const isGood = taken === length && (isModifiedZero || isGoodCode(code, length, first));
    out += isGood ? String.fromCodePoint(code) : REPLACEMENT;
    at += taken;
  }
  return out;
}

function claimedLength(first: number): number {
  if (first < 0xc0 || first >= 0xfe) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : first < 0xfc ? 5 : 6;
}

function isGoodCode(code: number, length: number, first: number): boolean {
  if (length === 1) return first < 0x80;
  const least = LEAST_OF_LENGTH[length];
  if (least === undefined || code < least || code > 0x10ffff) return false;
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  const isNoncharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
  return !isSurrogate && !isNoncharacter;
}
