/** Packages are chosen for the oldest Node that qsnap takes. */
import { satisfies } from 'semver';
import { expect, test } from 'vitest';
import lock from '../../package-lock.json' with { type: 'json' };

const OLDEST = '20.19.0';

/** What says that it needs a newer Node, and is used all the same. */
const TRIED: Readonly<Record<string, string>> = {
  'node_modules/pg-boss':
    'all that a catalogue does was tried on Node 20; it is built into the program',
  'node_modules/@napi-rs/lzma-linux-x64-gnu':
    'optional to a package that tests use, and left out where it does not run',
};

test('each package says that it runs on the oldest Node, or stands in the list of those that were tried', () => {
  const newer = Object.entries<object>(lock.packages)
    .filter(([, one]) => 'engines' in one && !isFor(one.engines))
    .map(([name]) => name);
  expect(newer.toSorted()).toEqual(Object.keys(TRIED).toSorted());
});

/** Old packages have a list here, or nothing. */
function isFor(engines: unknown): boolean {
  if (typeof engines !== 'object' || engines === null || !('node' in engines)) return true;
  return satisfies(OLDEST, String(engines.node));
}
