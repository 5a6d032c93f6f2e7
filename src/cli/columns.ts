/** Text in columns, aligned by what a terminal shows and not by string length. */

/** The usual case, for which the two expressions below need not even be compiled. */
const ASCII = /^[ -~]*$/;
const ZERO_WIDTH = /[\p{Mn}\p{Me}]/u;
/** Characters that fill two cells. Unicode: East Asian Width W and F, in ranges. */
const DOUBLE_WIDTH =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** How many terminal cells `text` fills. It holds no control characters. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (ZERO_WIDTH.test(character)) continue;
    width += DOUBLE_WIDTH.test(character) ? 2 : 1;
  }
  return width;
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** A longer cell pushes only its own row; without it the column grows. */
  readonly widthMax?: number;
}

function pad(text: string, width: number, align: Column['align']): string {
  const fill = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + fill : fill + text;
}

/** Lines of a table: the titles, then the rows; two spaces between columns, none at line ends. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = columns.map((column, c) => {
    const widest = Math.max(...rows.map((row) => displayWidth(row[c]!)), 0);
    const wanted = Math.min(widest, column.widthMax ?? widest);
    return Math.max(displayWidth(column.title), wanted);
  });
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, c) => pad(cell, widths[c]!, columns[c]!.align))
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)];
}

/** Lines of `label  value` pairs, the values in one column. */
export function fieldLines(fields: readonly (readonly [label: string, value: string])[]): string[] {
  const width = Math.max(...fields.map(([label]) => displayWidth(label)), 0);
  return fields.map(([label, value]) => `  ${pad(label, width, 'left')}  ${value}`.trimEnd());
}
