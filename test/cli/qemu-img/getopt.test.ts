import fc from 'fast-check';
import { expect, test } from 'vitest';
import { getopt, type Found, type Grammar } from '../../../src/cli/qemu-img/grammar/getopt.js';

const GRAMMAR: Grammar = {
  short: { l: false, q: false, c: true },
  long: { help: false, object: true, output: true, 'image-opts': false },
  stopAtOperand: false,
};

function parse(args: readonly string[], grammar = GRAMMAR): { found: Found[]; rest: string[] } {
  const found: Found[] = [];
  const options = getopt(['command', ...args], grammar);
  for (;;) {
    const next = options.next();
    if (next.done === true) return { found, rest: next.value };
    found.push(next.value);
  }
}

const option = (name: string, value = '') => ({ kind: 'option', name, value });

test.each([
  [['-l'], [option('l')], []],
  [['-lq', 'f'], [option('l'), option('q')], ['f']],
  [['-lcx', 'f'], [option('l'), option('c', 'x')], ['f']],
  [['-c', '-l', 'f'], [option('c', '-l')], ['f']],
  [['-c=x'], [option('c', '=x')], []],
  [
    ['f', '-l', 'g', '-q'],
    [option('l'), option('q')],
    ['f', 'g'],
  ],
  [['f', '--', '-l'], [], ['f', '-l']],
  [['f', '-q', '--', '-l', 'g'], [option('q')], ['f', '-l', 'g']],
  [['-', '-l'], [option('l')], ['-']],
  [['--help'], [option('help')], []],
  [['--he'], [option('help')], []],
  [
    ['--output=json', '--output', 'human'],
    [option('output', 'json'), option('output', 'human')],
    [],
  ],
  [['--output='], [option('output')], []],
  [['--object', '--help'], [option('object', '--help')], []],
])('%j', (args, found, rest) => {
  expect(parse(args)).toEqual({ found, rest });
});

test.each([
  ['an abbreviation that fits two', ['--o', 'x'], 'ambiguous', '--o', '--o'],
  ['the same with a value', ['--o=x'], 'ambiguous', '--o=x', '--o=x'],
  ['a value for one without', ['--im=x'], 'unwanted-value', '--im=x', '--image-opts'],
  ['an unknown long option', ['--foo=x'], 'unrecognized', '--foo=x', '--foo=x'],
  ['an unknown letter at the end of its argument', ['-lx'], 'unrecognized', '-lx', 'x'],
  ['an unknown letter inside: the argument before it', ['-xl'], 'unrecognized', 'command', 'x'],
  ['the same after operands', ['f', 'g', '-xl'], 'unrecognized', 'g', 'x'],
  ['the same after operands that were moved', ['f', '-q', '-xl'], 'unrecognized', 'f', 'x'],
  ['a missing value', ['f', '-c'], 'missing-value', '-c', 'c'],
  ['a missing value of a long option', ['--obj'], 'missing-value', '--obj', '--object'],
])('%s', (_, args, kind, argument, wrong) => {
  const candidates = kind === 'ambiguous' ? ['object', 'output'] : [];
  const found = parse(args).found.find((item) => item.kind !== 'option');
  expect(found).toEqual({ kind, argument, option: wrong, candidates });
});

test('a long option may stand for a letter', () => {
  const grammar = { ...GRAMMAR, long: { create: 'c', list: 'l' } };
  expect(parse(['--create=x', '--cr', 'y', '--list'], grammar).found).toEqual([
    option('c', 'x'),
    option('c', 'y'),
    option('l'),
  ]);
});

test('where options end at the first operand', () => {
  const posix = { ...GRAMMAR, stopAtOperand: true };
  expect(parse(['-l', 'f', '-q'], posix)).toEqual({ found: [option('l')], rest: ['f', '-q'] });
  expect(parse(['-l', '--', '-q'], posix)).toEqual({ found: [option('l')], rest: ['-q'] });
});

test('no argument is lost or made up, whatever comes', () => {
  const word = fc.constantFrom('f', 'g', '-l', '-q', '-lq', '-c', '-cx', '--', '--help', '-');
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (args) => {
      const { found, rest } = parse(args);
      const letters = found.flatMap((item) => (item.kind === 'option' ? [item] : []));
      const operands = args.filter((argument) => !argument.startsWith('-') || argument === '-');
      // An operand is either left over or was taken as a value.
      const values = letters.map(({ value }) => value);
      for (const operand of operands) expect([...rest, ...values]).toContain(operand);
      for (const argument of rest) expect(args).toContain(argument);
    }),
  );
});
