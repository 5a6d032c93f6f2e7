/** What an export can make. */
export type ExportFormat = 'raw' | 'qcow2';

/** The format that an output asks for: qcow2 where its name ends like one, else raw. */
export function formatOf(options: {
  readonly output: string;
  readonly format?: ExportFormat;
}): ExportFormat {
  return options.format ?? (/\.qcow2$/i.test(options.output) ? 'qcow2' : 'raw');
}
