import { oneSafeLine } from '../../text.js';
import type { PolicyProblem } from './policy-error.js';

/** Ours: nobody makes so many, and what aliases repeat would take long to look at. */
const MISTAKES_MAX = 1000;

/** The mistakes of one file, as they are found. */
export class ProblemList {
  readonly #file: string;
  /** Offsets of the lines. */
  readonly #lines: readonly number[];
  readonly #closed = new Set<number>();
  readonly #found = new Map<string, PolicyProblem>();

  constructor(file: string, text: string) {
    this.#file = file;
    this.#lines = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
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
    const line = this.lineOf(at);
    const place = { line, column: at - this.#lines[line - 1]! + 1 };
    return { file: this.#file, place, message: oneSafeLine(message) };
  }

  lineOf(at: number): number {
    let [line, end] = [0, this.#lines.length];
    while (end - line > 1) {
      const middle = (line + end) >> 1;
      if (this.#lines[middle]! <= at) line = middle;
      else end = middle;
    }
    return line + 1;
  }

  /** In the order of the file. */
  sorted(): readonly PolicyProblem[] {
    return [...this.#found.values()].sort(
      (a, b) => a.place!.line - b.place!.line || a.place!.column - b.place!.column,
    );
  }
}
