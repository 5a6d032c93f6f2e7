/** A command that ends with exit code 1 and a message. */
export class Refusal extends Error {
  /** What to print after the program's name: a byte string, several lines at times. */
  readonly text: string;
  /** Lines to print before, as they are. */
  readonly before: readonly string[];

  constructor(text: string, before: readonly string[] = []) {
    super(text);
    this.name = 'Refusal';
    this.text = text;
    this.before = before;
  }
}
