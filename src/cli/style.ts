import type { CliOutput, CliStreams } from './streams.js';

/** The few colours in use; each is the identity where no colour may be. */
export interface Style {
  readonly marker: (text: string) => string;
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
}

function paint(code: number, on: boolean): (text: string) => string {
  return on ? (text) => `\x1b[${code}m${text}\x1b[0m` : (text) => text;
}

/** Colour needs a terminal, no `--no-color`, and NO_COLOR unset or empty (no-color.org). */
export function styleFor(output: CliOutput, io: CliStreams, wanted: boolean): Style {
  const on = wanted && output.isTerminal && (io.env['NO_COLOR'] ?? '') === '';
  return { marker: paint(32, on), error: paint(31, on), warning: paint(33, on) };
}
