import { expect, test } from 'vitest';
import { nestsDeeperThan } from '../../../src/base/json-depth.js';

test.each([
  ['7', 0],
  ['{}', 1],
  ['[[],[]]', 2],
  ['{"a":[{"b":1},{"c":[]}]}', 4],
  [String.raw`["[[[","\"[[",{"]]":"\\"}]`, 2],
  ['['.repeat(100_000), 100_000],
])('%j is so deep', (text, depth) => {
  const bytes = new TextEncoder().encode(text);
  expect(nestsDeeperThan(depth, bytes)).toBe(false);
  if (depth > 0) expect(nestsDeeperThan(depth - 1, bytes)).toBe(true);
});
