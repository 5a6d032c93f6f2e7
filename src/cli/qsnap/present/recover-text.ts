import { printable, printableText } from '../../../internal.js';
import { sizeText } from '../../text.js';
import type { Recovered } from './recovered.js';

/** What came of a candidate, and what nobody can know of it. */
export function recoverLines(done: Recovered): readonly string[] {
  const { candidate, bytes, output, isCopy, unreadableBytes, map } = done;
  const { snapshot, number } = candidate;
  const name = snapshot === undefined ? '' : ` "${printable(snapshot.nameBytes)}"`;
  const what = isCopy
    ? 'a copy of the image with it'
    : `its disk of ${sizeText(done.diskSizeBytes)}`;
  const lines = [
    `Recovered candidate ${number}${name}: wrote ${what} to ${printableText(output)}.`,
    `  ${sizeText(bytes.candidate)} are what it held; ${sizeText(bytes.none)} it had nothing for`,
  ];
  if (bytes.unknown > 0) {
    lines.push(
      `  ${sizeText(bytes.unknown)} nobody knows: something else may have been written there since, or they read as` +
        ' zeros',
    );
  }
  if (bytes.reused > 0) {
    lines.push(`  ${sizeText(bytes.reused)} were overwritten, and are zeros`);
  }
  if (unreadableBytes > 0)
    lines.push(`  ${sizeText(unreadableBytes)} could not be read, and are zeros`);
  if (map !== undefined) lines.push(`  ${printableText(map)} says it of each range`);
  return lines;
}
