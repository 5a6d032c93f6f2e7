import { createInterface } from 'node:readline/promises';
import { stderr, stdin } from 'node:process';

/** Asks a person on the terminal. Resolves with what was typed, or with '' where the input ends. */
export async function askOnTerminal(question: string): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    const closed = new Promise<string>((resolve) => {
      lines.once('close', () => {
        resolve('');
      });
    });
    return await Promise.race([lines.question(question), closed]);
  } finally {
    lines.close();
  }
}
