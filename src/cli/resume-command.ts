import type { ErrorDetails } from '../index.js';

/** The command that brings a group edit to its end, to be pasted into a shell. */
export function resumeCommand({
  operation,
  files,
}: NonNullable<ErrorDetails['unfinished']>): string {
  return ['qsnap', operation, '--resume', '--group', ...files.map(shellWord)].join(' ');
}

/** A word as POSIX shells take it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
