/** Rows of CSV as RFC 4180 has it, by the titles of the first one. */
export function csvRows(text: string): Record<string, string>[] {
  const [titles, ...rows] = text
    .split(/\r?\n(?=(?:[^"]*"[^"]*")*[^"]*$)/)
    .filter(Boolean)
    .map(cellsOf);
  return rows.map((row) => Object.fromEntries(titles!.map((title, i) => [title, row[i]!])));
}

function cellsOf(line: string): string[] {
  return [...`${line},`.matchAll(/("(?:[^"]|"")*"|[^,"]*),/g)].map(([, cell]) =>
    cell!.startsWith('"') ? cell!.slice(1, -1).replaceAll('""', '"') : cell!,
  );
}
