import type { LineCounter } from 'yaml';
import type { PolicyProblem } from './policy-error.js';

/** Ours: nobody makes so many, and what aliases repeat would take long to look at. */
const MISTAKES_MAX = 1000;

/** The mistakes of one file, as they are found. */
export class ProblemList {
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #closed = new Set<number>();
  readonly #found = new Map<string, PolicyProblem>();

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  /** Notes a mistake. What an alias repeats is told once. */
  add(at: number, message: string): void {
    if (this.#closed.has(at) || this.#found.size > MISTAKES_MAX) return;
    if (this.#found.size === MISTAKES_MAX) message = 'there are more mistakes than are looked for';
    this.#found.set(`${at} ${message}`, this.at(at, message));
  }

  /** Notes a mistake that makes whatever else is said of its place untrue. */
  addLast(at: number, message: string): void {
    this.add(at, message);
    this.#closed.add(at);
  }

  /** A problem that is not on the list. */
  at(at: number, message: string): PolicyProblem {
    const { line, col } = this.#lines.linePos(at);
    return {
      file: this.#file,
      place: { line: Math.max(line, 1), column: Math.max(col, 1) },
      message,
    };
  }

  lineOf(at: number): number {
    return this.#lines.linePos(at).line;
  }

  /** In the order of the file. */
  sorted(): readonly PolicyProblem[] {
    return [...this.#found.values()].sort(
      (a, b) => a.place!.line - b.place!.line || a.place!.column - b.place!.column,
    );
  }
}
