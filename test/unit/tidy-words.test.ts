import { expect, test } from 'vitest';
import { COMMAND_NAMES } from '../../src/cli/qsnap/program.js';
import { filesBelow, patternsOf } from './source-tree.js';

/** Texts that look like a command and are none, and what they are. */
const NO_COMMANDS: Readonly<Record<string, string>> = {
  'qsnap undo file\n': 'the first bytes of an undo file',
};

const OPTION = /(?<![\w-])--[a-z]/;
const COMMAND = new RegExp(`\\bqemu-img\\b|\\bqsnap(-img)? (${[...COMMAND_NAMES].join('|')})\\b`);

// A hint of the engine is read by programs of any kind: src/cli says it with commands and options.
test('the engine speaks of no command and no option of a command line', () => {
  const engine = filesBelow('src').filter((path) => !path.startsWith('src/cli/'));
  expect(engine.length).toBeGreaterThan(150);
  const spoken = engine.flatMap((path) =>
    patternsOf(path)
      .map((parts) => parts.map((part) => part ?? '…').join(''))
      .filter((text) => OPTION.test(text) || COMMAND.test(text))
      .filter((text) => !(text in NO_COMMANDS))
      .map((text) => `${path}: ${text}`),
  );
  expect(spoken).toEqual([]);
});
