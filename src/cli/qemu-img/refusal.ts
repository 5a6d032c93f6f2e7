/** A command that ends with a message and an exit code that is not 0. */
export class Refusal extends Error {
  /** What to print after the program's name: a byte string, several lines at times. */
  readonly text: string;
  /** What to print before. */
  readonly before: readonly EarlierLine[];

  readonly exitCode: number;

  constructor(text: string, before: readonly EarlierLine[] = [], exitCode = 1) {
    super(text);
    this.name = 'Refusal';
    this.text = text;
    this.before = before;
    this.exitCode = exitCode;
  }
}

/** A line that comes before a message: as it is, or after the program's name, too. */
export type EarlierLine = string | { readonly named: string };

/** Wrong usage: the message is followed by where help is. */
export class UsageError extends Refusal {
  /** Of an option, QEMU names the command, too. */
  readonly namesCommand: boolean;

  constructor(text: string, namesCommand = false) {
    super(text);
    this.namesCommand = namesCommand;
  }
}
