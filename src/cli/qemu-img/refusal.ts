/** A command that ends with a message and an exit code that is not 0. */
export class Refusal extends Error {
  /** What to print after the program's name: a byte string, several lines at times. */
  readonly text: string;
  /** Lines to print before, as they are. */
  readonly before: readonly string[];

  readonly exitCode: number;

  constructor(text: string, before: readonly string[] = [], exitCode = 1) {
    super(text);
    this.name = 'Refusal';
    this.text = text;
    this.before = before;
    this.exitCode = exitCode;
  }
}
