import { RE2JS } from 're2js';
import {
  findKnownSecrets,
  findRule,
  type AuditPolicy,
  type FindSecrets,
  type NamedRegex,
} from '../../index.js';

/** Bytes that are tried at once, so that bytes without a match are passed over by the faster of two ways. Ours. */
const WINDOW_BYTES = 64 * 1024;
/** A longer match is cut where a window ends. Ours, as many as the search itself looks ahead. */
const MATCH_BYTES = 4 * 1024;

/** States of a compiled expression: with more of them the search falls below a megabyte a second. Ours. */
const PROGRAM_MAX = 1100;

/**
 * An expression, where ^ and $ are the ends of a line, whose search takes time in proportion to the bytes, whatever it says: JavaScript's own could take years.
 *
 * @throws SyntaxError for what is none, or too large a one, or one that nothing at all is like.
 */
export function compileRegex(regex: string): RE2JS {
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(regex, RE2JS.MULTILINE);
  } catch (error) {
    // It shows the flag as it writes that itself.
    const message = (error as Error).message.replace(/^error parsing regexp: /, '');
    throw new SyntaxError(message.replace('(?m)', ''), { cause: error });
  }
  if (compiled.programSize() > PROGRAM_MAX) {
    throw new SyntaxError(
      `it takes ${compiled.programSize()} states, and ${PROGRAM_MAX} are enough`,
    );
  }
  if (compiled.test('')) throw new SyntaxError('an empty text is like it');
  return compiled;
}

/** Finds secrets of known shapes, and those that a policy describes. A character is a byte. */
export function secretFinder(policy: AuditPolicy): FindSecrets {
  const own = patternsOf(policy).map(({ name, regex }) => ({ name, regex: compileRegex(regex) }));
  if (own.length === 0) return findKnownSecrets;
  return function* (bytes, wants) {
    yield* findKnownSecrets(bytes, wants);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    for (const { name, regex } of own) {
      for (const [at, end] of matchesIn(text, regex, () => wants(name))) {
        yield { pattern: name, at, length: end - at };
      }
    }
  };
}

function patternsOf({ rules }: AuditPolicy): readonly NamedRegex[] {
  const patterns = rules.get(findRule('secrets-left')!.id)?.options['patterns'];
  return typeof patterns === 'object' ? patterns.filter((one) => typeof one === 'object') : [];
}

/** Start and end of each match, none within another one. */
function* matchesIn(
  text: string,
  regex: RE2JS,
  wants: () => boolean,
): Generator<readonly [number, number]> {
  let behind = 0;
  for (let from = 0; from < text.length && wants(); from += WINDOW_BYTES) {
    // What lies before the window tells whether a word begins there.
    const start = Math.max(0, from - 1);
    const part = text.slice(start, from + WINDOW_BYTES + MATCH_BYTES);
    if (!regex.test(part)) continue;
    const matcher = regex.matcher(part);
    let next = Math.max(from, behind) - start;
    while (wants() && next <= part.length && matcher.find(next)) {
      const [at, end] = [start + matcher.start(), start + matcher.end()];
      if (at >= from + WINDOW_BYTES) break;
      if (end > at) yield [at, end];
      behind = Math.max(end, at + 1);
      next = behind - start;
    }
  }
}
