import type { CliOutput } from '../streams.js';
import { jsonText } from '../text.js';

/** A JSON document with one array that can be longer than memory: it is printed as it comes. */
export class StreamedJson {
  readonly #stdout: CliOutput;
  #separator = '';

  constructor(stdout: CliOutput) {
    this.#stdout = stdout;
  }

  /** Prints the members that come before the array, and the name of the array. */
  begin(before: Readonly<Record<string, unknown>>, array: string): void {
    const lines = membersOf(before).map((member) => `${member},\n`);
    this.#stdout.write(`{\n${lines.join('')}  ${JSON.stringify(array)}: [`);
  }

  /** Prints elements of the array, one a line. */
  items(items: readonly object[]): void {
    if (items.length === 0) return;
    const lines = items.map((item) => `\n    ${JSON.stringify(item)}`);
    this.#stdout.write(this.#separator + lines.join(','));
    this.#separator = ',';
  }

  /** Prints what comes after the array, and ends the document. */
  end(after: Readonly<Record<string, unknown>> = {}): void {
    const lines = membersOf(after).map((member) => `,\n${member}`);
    this.#stdout.write(`\n  ]${lines.join('')}\n}\n`);
  }
}

/** A line for each member. */
function membersOf(members: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(members).map(
    ([name, value]) => `  ${JSON.stringify(name)}: ${inLine(value)}`,
  );
}

function inLine(value: unknown): string {
  const lines = jsonText(value).trimEnd().split('\n');
  return lines.map((line) => line.trim()).join(' ');
}
