import { counted, printable } from '../../base/text.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { numberOf, textsOf } from '../options.js';
import type { AuditFacts, Rule, Violation } from '../rule.js';

const DAY_SECONDS = 86_400;

/** One violation for each snapshot of which `saying` has something to say. */
function ofSnapshots(
  { image }: AuditFacts,
  saying: (snapshot: Snapshot) => string | undefined,
): readonly Violation[] {
  return image.snapshots.flatMap((snapshot): readonly Violation[] => {
    const what = saying(snapshot);
    if (what === undefined) return [];
    const [id, name] = [printable(snapshot.idBytes), printable(snapshot.nameBytes)];
    return [
      {
        message: `snapshot ${id} "${name}" ${what}`,
        at: snapshot.at,
        facts: { snapshot: snapshot.id, name: snapshot.name },
      },
    ];
  });
}

/** Rules about internal snapshots. */
export const SNAPSHOT_RULES: readonly Rule[] = [
  {
    id: 'QS1101',
    name: 'snapshots',
    title: 'The image has no more internal snapshots than allowed',
    reason:
      'A snapshot holds an older state of the disk, with all that was deleted since. Who gets the image gets that, too; ' +
      'and several readers refuse images with snapshots.',
    needs: [],
    options: {
      max: { kind: 'count', about: 'How many there may be', default: 0 },
    },
    judge: ({ image }, options) => {
      const max = numberOf(options, 'max')!;
      const { length } = image.snapshots;
      if (length <= max) return [];
      return [
        {
          message: `the image has ${counted(length, 'internal snapshot')}; the most allowed is ${max}`,
          at: 60,
          length: 4,
          facts: { snapshots: length, max },
        },
      ];
    },
  },
  {
    id: 'QS1102',
    name: 'vm-state',
    title: 'No snapshot has a VM state, and nothing is left of one',
    reason:
      'A VM state is the memory of the guest: it holds keys, passwords and open files in plain text.',
    needs: ['vm-state'],
    options: {},
    judge: (facts) => [
      ...ofSnapshots(facts, ({ vmStateBytes }) =>
        vmStateBytes === 0 ? undefined : `has a VM state of ${counted(vmStateBytes, 'byte')}`,
      ),
      ...ofSnapshots(facts, ({ index }) => {
        const mapped = facts.vmState?.find(({ snapshot }) => snapshot?.index === index);
        if (mapped === undefined || mapped.behindBytes === 0) return undefined;
        return `maps VM state that its entry does not tell of: ${counted(mapped.behindBytes, 'byte')} with data`;
      }),
      ...(facts.vmState ?? []).flatMap(({ snapshot, at, dataBytes }) => {
        if (snapshot !== undefined) return [];
        const message = `the active disk maps VM state behind it: ${counted(dataBytes, 'byte')} with data`;
        return [{ message, at, length: 8, facts: { bytes: dataBytes } }];
      }),
    ],
  },
  {
    id: 'QS1103',
    name: 'snapshot-names',
    title: 'Snapshots have the names that they are to have',
    reason: 'Names that tools made, such as "auto-*", tell of snapshots that nobody meant to keep.',
    needs: [],
    options: {
      allow: { kind: 'patterns', about: 'Each name is like one of these' },
      deny: { kind: 'patterns', about: 'No name is like one of these' },
    },
    idleWithout: ['allow', 'deny'],
    judge: (facts, options) => {
      const [allow, deny] = [textsOf(options, 'allow'), textsOf(options, 'deny')];
      return ofSnapshots(facts, ({ name }) => {
        const denied = deny.find((pattern) => facts.matches(name, pattern));
        if (denied !== undefined) return `has a name like "${denied}", which is not allowed`;
        const isAllowed =
          allow.length === 0 || allow.some((pattern) => facts.matches(name, pattern));
        return isAllowed ? undefined : 'has a name like none that is allowed';
      });
    },
  },
  {
    id: 'QS1104',
    name: 'snapshot-age',
    title: 'No snapshot is older than allowed',
    reason:
      'An old snapshot keeps every cluster that was overwritten since, and few still know what it is for.',
    needs: [],
    options: { max: { kind: 'age', about: 'How old they may be' } },
    idleWithout: ['max'],
    judge: (facts, options) => {
      const max = numberOf(options, 'max');
      if (max === undefined) return [];
      return ofSnapshots(facts, ({ date }) => {
        const age = facts.now - date.seconds;
        if (age <= max) return undefined;
        return `is ${counted(Math.floor(age / DAY_SECONDS), 'day')} old`;
      });
    },
  },
  {
    id: 'QS1105',
    name: 'snapshot-name-twice',
    title: 'No two snapshots have one name',
    reason:
      'QEMU applies by id first and deletes by name: with one name twice it may delete another one than it applied.',
    needs: [],
    options: {},
    judge: (facts) => {
      const seen = new Set<string>();
      return ofSnapshots(facts, ({ name }) => {
        const isTwice = seen.has(name);
        seen.add(name);
        return isTwice ? 'has the name of another one before it' : undefined;
      });
    },
  },
];
