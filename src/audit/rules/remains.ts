import { counted } from '../../base/text.js';
import type { AuditFacts, Remains, Rule, Violation } from '../rule.js';

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
];
