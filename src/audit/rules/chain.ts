import { counted, printableText } from '../../base/text.js';
import { numberOf } from '../options.js';
import type { AuditFacts, BackingChain, ChainLayer, Rule, Violation } from '../rule.js';

/** Where the image names its own backing file. */
function nameOf({ image }: AuditFacts): Pick<Violation, 'at' | 'length'> {
  const { at, bytes } = image.header.backingName;
  return { at, length: bytes };
}

/** Judges the chain. One that was not followed keeps no rule: nothing is known of it. */
function ofChain(
  facts: AuditFacts,
  judge: (chain: BackingChain) => readonly Violation[],
): readonly Violation[] {
  const { chain, image } = facts;
  if (chain !== undefined) return judge(chain);
  if (image.backingNameBytes === undefined) return [];
  const message = 'the chain of backing files was not followed, so this rule can not be judged';
  return [{ message, ...nameOf(facts), facts: { followed: false } }];
}

const quoted = (name: string): string => `"${printableText(name)}"`;

/** Why the recorded format of a layer is wrong; undefined where it is right. */
function wrongFormat({ recorded, beginsAsQcow2 }: ChainLayer, depth: number): string | undefined {
  // Of the image's own backing file the rule backing-format says it.
  if (recorded === undefined) return depth === 1 ? undefined : 'is named without its format';
  if (recorded === 'raw' && beginsAsQcow2) return 'is recorded as raw, and begins as qcow2';
  if (recorded === 'qcow2' && !beginsAsQcow2) {
    return 'is recorded as qcow2, and does not begin as qcow2';
  }
  return undefined;
}

/** Rules about the files below the image, which are opened only where the caller allows it. */
export const CHAIN_RULES: readonly Rule[] = [
  {
    id: 'QS1207',
    name: 'chain-depth',
    title: 'The chain of backing files is no longer than allowed',
    reason:
      'Each layer costs an open file and a look into its tables for every read of what the guest never wrote, and one ' +
      'more file that must not be lost.',
    needs: ['chain'],
    options: { max: { kind: 'count', about: 'Backing files that there may be', default: 8 } },
    judge: (facts, options) =>
      ofChain(facts, ({ layers, problem }) => {
        const max = numberOf(options, 'max')!;
        if (layers.length <= max) return [];
        const count = counted(layers.length, 'backing file');
        const found = problem === undefined ? count : `at least ${count}`;
        const message = `the chain has ${found}; the most allowed is ${max}`;
        return [{ message, ...nameOf(facts), facts: { layers: layers.length, max } }];
      }),
  },
  {
    id: 'QS1208',
    name: 'chain-complete',
    title: 'Every file of the backing chain is there and can be opened',
    reason:
      'Without one of its files the disk can not be read, and nothing in the image itself tells that it is gone.',
    needs: ['chain'],
    options: {},
    judge: (facts) =>
      ofChain(facts, ({ problem }) => {
        if (problem === undefined || problem.reason.code === 'BACKING_LOOP') return [];
        const { layer, reason } = problem;
        const message = `the chain can't be followed to file ${layer} below the image: ${reason.message}`;
        return [{ message, ...nameOf(facts), facts: { layer, code: reason.code } }];
      }),
  },
  {
    id: 'QS1209',
    name: 'chain-loop',
    title: 'The backing chain does not lead back to itself',
    reason:
      'QEMU does not open such an image, and other readers follow the chain until they have no files or no stack left.',
    needs: ['chain'],
    options: {},
    judge: (facts) =>
      ofChain(facts, ({ problem }) => {
        if (problem?.reason.code !== 'BACKING_LOOP') return [];
        const { layer, reason } = problem;
        return [{ message: reason.message, ...nameOf(facts), facts: { layer } }];
      }),
  },
  {
    id: 'QS1210',
    name: 'chain-format',
    title: 'Each file of the backing chain has the format that is recorded for it',
    reason:
      'By a wrong format QEMU shows the guest the bytes of the container, and a base without a recorded one is guessed ' +
      'from bytes that a guest may have written.',
    needs: ['chain'],
    options: {},
    judge: (facts) =>
      ofChain(facts, ({ layers }) =>
        layers.flatMap((one, i): readonly Violation[] => {
          const said = wrongFormat(one, i + 1);
          if (said === undefined) return [];
          const message = `file ${i + 1} below the image, ${quoted(one.name)}, ${said}`;
          const place = i === 0 ? nameOf(facts) : {};
          return [{ message, ...place, facts: { layer: i + 1, name: one.name } }];
        }),
      ),
  },
];
