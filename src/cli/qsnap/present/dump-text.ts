import type { DumpedField } from '../../../index.js';
import { hexOfBytes, printableText } from '../../../internal.js';
import type { Style } from '../../style.js';
import { hexText } from '../../text.js';

/** Bytes that are shown in a line. */
const BYTES_SHOWN = 8;
const WIDTHS = [12, 9, 26, 26] as const;
const DATA_WIDTHS = [12, 9, 5, 52] as const;

/** Lines of a dump, with a heading for each structure. */
export class DumpText {
  readonly #style: Style;
  #structure: string | undefined;

  constructor(style: Style) {
    this.#style = style;
  }

  linesOf(fields: readonly DumpedField[]): string[] {
    return fields.flatMap((field) => {
      const heading = field.structure === this.#structure ? [] : this.#headingOf(field);
      return [...heading, `${this.#lineOf(field)}\n`];
    });
  }

  #headingOf({ structure }: DumpedField): string[] {
    const isFirst = this.#structure === undefined;
    this.#structure = structure;
    return [`${isFirst ? '' : '\n'}${printableText(structure)}\n`];
  }

  #lineOf({ part, name, at, length, bytes, text, problem }: DumpedField): string {
    // Of a cluster a line has all of its bytes.
    const isData = part === 'cluster' && name === 'data';
    const shown = hexOfBytes(isData ? bytes : bytes.subarray(0, BYTES_SHOWN)).replace(
      /..(?=.)/g,
      '$& ',
    );
    const more = length > (isData ? bytes.length : BYTES_SHOWN) && bytes.length > 0 ? ' …' : '';
    // What is stored nowhere has no place: the first bytes of a file are the header's.
    const isNowhere = at === 0 && length === 0;
    const place = isNowhere ? ['-', '-'] : [hexText(at), String(length)];
    const cells = [...place, name, shown + more];
    const widths = isData ? DATA_WIDTHS : WIDTHS;
    const row = cells.map((cell, i) => `${cell.padEnd(widths[i]! - 1)} `).join('');
    const wrong =
      problem === undefined ? '' : `  ${this.#style.error(`wrong: expected ${problem.expected}`)}`;
    return `  ${row}${text}${wrong}`;
  }
}
