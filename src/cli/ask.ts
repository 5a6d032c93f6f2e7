import { createInterface } from 'node:readline';
import { stderr, stdin } from 'node:process';

/** Asks a person on the terminal. Resolves with what was typed, or with '' where the input ends. */
export function askOnTerminal(question: string): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr });
  return new Promise((resolve) => {
    let answer = '';
    lines.once('close', () => {
      resolve(answer);
    });
    lines.question(question, (typed) => {
      answer = typed;
      lines.close();
    });
  });
}
