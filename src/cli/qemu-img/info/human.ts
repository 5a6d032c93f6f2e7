/** Sizes, times and trees as qemu-img writes them for people. */
import { isList, type Tree } from '../json.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** Three significant digits and a binary unit, which changes at 1000 and not at 1024. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit + 1 < UNITS.length) {
    value /= 1024;
    unit += 1;
  }
  return `${threeDigits(value)} ${UNITS[unit]!}`;
}

/** C's `%0.3g`: halves go to the even digit, and what rounds up to 1000 becomes `1e+03`. */
function threeDigits(value: number): string {
  const [digits, exponent] = roundedToEven(value).toPrecision(3).split('e');
  const short = digits!.includes('.') ? digits!.replace(/\.?0+$/, '') : digits!;
  if (exponent === undefined) return short;
  return `${short}e${exponent[0]!}${exponent.slice(1).padStart(2, '0')}`;
}

/**
 * The value, or its first three digits alone where it lies half-way and the third is even:
 * `toPrecision` would take that one up. 100 digits show every double of this size exactly.
 */
function roundedToEven(value: number): number {
  const [digits, exponent] = value.toExponential(100).split('e');
  const isHalfAboveEven = /^\d\.\d[02468]50*$/.test(digits!);
  return isHalfAboveEven ? Number(`${digits!.slice(0, 4)}e${exponent!}`) : value;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Local time of the process. */
export function dateText(seconds: number): string {
  const date = new Date(seconds * 1000);
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** Hours are not bounded. */
export function clockText(nanoseconds: bigint, hourDigits: number): string {
  const milliseconds = nanoseconds / 1_000_000n;
  const seconds = Number(milliseconds / 1000n);
  const hours = String(Math.floor(seconds / 3600)).padStart(hourDigits, '0');
  const rest = [Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
  return `${hours}:${rest}.${String(milliseconds % 1000n).padStart(3, '0')}`;
}

/**
 * The lines of "Format specific information".
 *
 * @param show applied to every string.
 */
export function treeLines(tree: Tree, show: (text: string) => string, level = 1): string[] {
  if (typeof tree !== 'object') return [];
  const members: readonly (readonly [string, Tree])[] = isList(tree)
    ? tree.map((item, index) => [`[${index}]`, item] as const)
    : Object.entries(tree).map(([key, item]) => [key.replaceAll('-', ' '), item] as const);
  return members.flatMap(([key, value]) => {
    const head = `${'    '.repeat(level)}${key}:`;
    if (typeof value === 'object') return [head, ...treeLines(value, show, level + 1)];
    return [`${head} ${typeof value === 'string' ? show(value) : String(value)}`];
  });
}
