import { counted } from '../../base/text.js';
import { textsOf } from '../options.js';
import type { AuditFacts, OptionValues, Remains, Rule, Violation } from '../rule.js';

const WORDS: Readonly<Record<Remains['where'], string>> = {
  'free-clusters': 'free clusters',
  tail: 'the end of the file behind the last cluster that is in use',
  'header-slack': 'the first cluster behind the header',
  'table-slack': 'what a table leaves of its last cluster',
};

function ofPlaces(
  { remains }: AuditFacts,
  ...places: readonly Remains['where'][]
): readonly Violation[] {
  return (remains ?? [])
    .filter(({ where }) => places.includes(where))
    .map(({ where, at, bytes }) => ({
      message: `${counted(bytes, 'byte')} in ${WORDS[where]} are not zeros`,
      at,
      facts: { where, bytes },
    }));
}

/** Where secrets lie. No byte of one is told: who reads a report is not always who may read the secret. */
function ofSecrets(
  { secrets = [], matches }: AuditFacts,
  options: OptionValues,
): readonly Violation[] {
  const except = textsOf(options, 'except');
  const counted = secrets.filter(({ pattern: name }) => !except.some((one) => matches(name, one)));
  const listed = counted
    .flatMap(({ listed }) => listed)
    .sort((a, b) => a.at - b.at)
    .map(({ pattern, where, at, length }): Violation => {
      const message = `${length} bytes in ${WORDS[where]} look like a secret: ${pattern}`;
      return { message, at, length, facts: { pattern, where, bytes: length } };
    });
  const left = counted.flatMap(({ pattern, listed, count, isFull }): readonly Violation[] => {
    const more = count - listed.length;
    if (more === 0) return [];
    const number = isFull ? `${more} or more` : String(more);
    const message = `${number} secrets of the kind ${pattern} are not listed`;
    return [{ message, facts: { pattern, more } }];
  });
  return [...listed, ...left];
}

/** Rules about bytes that no disk has: what was deleted, and what programs left. */
export const REMAINS_RULES: readonly Rule[] = [
  {
    id: 'QS1701',
    name: 'free-clusters',
    title: 'Free clusters hold nothing but zeros',
    reason:
      'A cluster that a snapshot or a guest gave up keeps its bytes: whoever gets the file can read deleted files, keys ' +
      'and VM states there.',
    needs: ['remains'],
    options: {},
    judge: (facts) => ofPlaces(facts, 'free-clusters', 'tail'),
  },
  {
    id: 'QS1702',
    name: 'slack',
    title: 'What the header and tables leave of their clusters is zeros',
    reason:
      'Older headers and snapshot tables stay there, with names of snapshots and backing files that are gone.',
    needs: ['remains'],
    options: {},
    judge: (facts) => ofPlaces(facts, 'header-slack', 'table-slack'),
  },
  {
    id: 'QS1703',
    name: 'secrets-left',
    title: 'Nothing that was left behind looks like a key or a token',
    reason:
      'A key that was deleted before the image was published is still in its file, and whoever scans the file finds it. ' +
      'Data that the guest has is not looked at.',
    needs: ['remains', 'secrets'],
    options: {
      patterns: {
        kind: 'regexes',
        about: 'Looked for besides the known ones: names and regular expressions',
      },
      except: { kind: 'patterns', about: 'Names of patterns that do not count' },
    },
    judge: ofSecrets,
  },
];
