import { describeSnapshot, printableText } from '../../../internal.js';
import { sizeText } from '../../text.js';
import type { ExportFacts } from './manifest.js';

/** What is said when an export is done. */
export function exportedLine({ path, snapshot, target, report }: ExportFacts): string {
  const what =
    snapshot === undefined ? 'the active disk' : `snapshot ${describeSnapshot(snapshot)}`;
  const { diskBytes, dataBytes, compressedBytes, packedBytes } = report;
  const data = `${sizeText(dataBytes + compressedBytes)} of data`;
  const packed =
    compressedBytes === 0 ? '' : `, compressed to ${sizeText(packedBytes + dataBytes)}`;
  return (
    `Exported ${what} of ${printableText(path)} to ${printableText(target.label)}: ` +
    `${target.format}, ${sizeText(diskBytes)}, ${data}${packed}.`
  );
}

/** A line as `sha256sum` prints it and `sha256sum -c` reads it: names with a backslash or a line
 * break are escaped, and the line then begins with a backslash. */
export function checksumLine(hash: string, file: string): string {
  const escaped = file
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('\r', String.raw`\r`);
  return `${escaped === file ? '' : '\\'}${hash}  ${escaped}`;
}
