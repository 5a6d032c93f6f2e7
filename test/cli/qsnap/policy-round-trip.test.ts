/** Policies that are written and read back, the schema for editors, and texts that nobody meant as a policy. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { format, resolveConfig } from 'prettier';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parsePolicy } from '../../../src/cli/qsnap/policy/parse-policy.js';
import { PolicyError } from '../../../src/cli/qsnap/policy/policy-error.js';
import { policySchema } from '../../../src/cli/qsnap/policy/policy-schema.js';
import { readPolicy } from '../../../src/cli/qsnap/policy/read-policy.js';
import { renderPolicy } from '../../../src/cli/qsnap/policy/render-policy.js';
import { problemText } from '../../../src/cli/qsnap/policy/report-policy.js';
import {
  AUDIT_RULES,
  PROFILE_NAMES,
  profileOf,
  type AuditPolicy,
  type NamedRegex,
  type OptionSpec,
  type OptionValue,
  type RuleSetting,
} from '../../../src/index.js';
import { roundsOf, seedOf } from '../../support/model-random.js';
import { read, SECONDS, written } from './policy-harness.js';
import { helpOfRule } from '../../../src/cli/qsnap/rule-help.js';

const SEED = seedOf();

const regex: fc.Arbitrary<NamedRegex> = fc.record({
  name: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,9}$/),
  regex: fc.stringMatching(/^[ -~]{1,12}$/).map((text) => text.replaceAll(/[^\w"' #:,-]/g, '\\$&')),
});

/** Values of an option as a file can say them. */
function valueOf({ kind, words }: OptionSpec): fc.Arbitrary<OptionValue> {
  const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
  switch (kind) {
    case 'count':
      return fc.maxSafeNat();
    case 'bytes':
      return fc
        .tuple(fc.nat(4000), fc.nat(4))
        .map(([size, power]) => size * 1024 ** power)
        .chain((size) => fc.constantFrom(size, size + 1));
    case 'age':
      return fc.integer({ min: 1, max: 999_999 }).map((hours) => hours * 3600);
    case 'patterns':
      return fc.array(texts, { minLength: 1, maxLength: 3 });
    case 'regexes':
      return fc.uniqueArray(regex, { minLength: 1, maxLength: 3, selector: ({ name }) => name });
    case 'words':
      return fc.subarray([...words!], { minLength: 1 });
  }
}

const setting = fc.constantFrom(...AUDIT_RULES).chain((rule) => {
  const specs = Object.entries(rule.options).map(([name, spec]) => [name, valueOf(spec)] as const);
  return fc
    .record({
      level: fc.constantFrom(undefined, 'note', 'warning', 'error'),
      options: fc.record(Object.fromEntries(specs), { requiredKeys: [] }),
    })
    .filter(({ options }) => {
      const [min, max] = ['min', 'max'].map((name) => options[name] ?? rule.options[name]?.default);
      return typeof min !== 'number' || typeof max !== 'number' || min <= max;
    })
    .map((value) => [rule.id, value] as [string, RuleSetting]);
});

const exception = fc.record({
  rule: fc.constantFrom(...AUDIT_RULES).map(({ id }) => id),
  images: fc.option(
    fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 3 }),
    { nil: undefined },
  ),
  reason: fc.oneof(fc.string(), fc.string({ unit: 'binary' })).filter((text) => text.trim() !== ''),
  until: fc.integer({ min: -1000, max: 2_900_000 }).map((day) => day * 86_400),
});

const anyPolicy: fc.Arbitrary<AuditPolicy> = fc.record({
  rules: fc.array(setting, { maxLength: 12 }).map((all) => new Map(all)),
  exceptions: fc.array(exception, { maxLength: 3 }),
});

const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
const validate = ajv.compile(policySchema());

/** What editors say of a file, by the schema. */
function mistakesOfSchema(text: string): unknown {
  return validate(parse(text)) ? [] : validate.errors;
}

describe('written and read back', () => {
  test.each(PROFILE_NAMES)('the profile %s is itself', async (name) => {
    const text = renderPolicy(profileOf(name), `The profile ${name}`);
    expect(await read(text)).toEqual({ policy: profileOf(name), warnings: [] });
    expect(mistakesOfSchema(text)).toEqual([]);
    expect(text).toMatch(
      new RegExp(`^# The profile ${name}\nrules:\n  # QS1101: The image has|^#`),
    );
  });

  test('a policy has comments that say what it asks for', async () => {
    const policy: AuditPolicy = {
      rules: new Map([
        ['QS1104', { level: 'note', options: { max: 14 * 86_400 } }],
        ['QS1101', { level: 'error', options: {} }],
        ['QS1307', { level: undefined, options: { allow: ['16', '32'] } }],
        ['QS1401', { level: 'warning', options: { min: 1536, max: 2 ** 41 } }],
      ]),
      exceptions: [
        { rule: 'QS1102', images: ['a: *'], reason: 'it is "so"', until: 1_798_761_600 },
        { rule: 'QS1101', images: undefined, reason: 'x', until: 86_400 },
      ],
    };
    const text = renderPolicy(policy, 'As an example');
    expect(text).toBe(`# As an example
rules:
  # QS1101: The image has no more internal snapshots than allowed
  #   max: How many there may be; by default 0
  snapshots: error
  # QS1104: No snapshot is older than allowed
  #   max: How old they may be
  snapshot-age: { level: note, max: 2w }
  # QS1307: Refcounts have the wanted width
  #   allow: One of these widths in bits (1, 2, 4, 8, 16, 32, 64); by default ["16"]
  refcount-bits: { level: off, allow: ["16", "32"] }
  # QS1401: Every virtual disk has a size within the bounds
  #   min: At least this size
  #   max: At most this size
  disk-size: { level: warning, min: 1536, max: 2T }
exceptions:
  - rule: vm-state
    images: ["a: *"]
    reason: "it is \\"so\\""
    until: 2026-12-31
  - rule: snapshots
    reason: "x"
    until: 1970-01-01
`);
    expect((await read(text)).policy).toEqual(policy);
  });

  test(`any policy is itself, for editors too (QSNAP_SEED=${SEED})`, async () => {
    const file = written('');
    await fc.assert(
      fc.asyncProperty(anyPolicy, async (policy) => {
        const text = renderPolicy(policy, 'Made up');
        writeFileSync(file, text);
        expect((await readPolicy(file, SECONDS)).policy).toEqual(policy);
        expect(mistakesOfSchema(text)).toEqual([]);
      }),
      { seed: SEED, numRuns: roundsOf(300) },
    );
  });

  test('what no file can say is refused', () => {
    const of = (rules: AuditPolicy['rules'], exceptions: AuditPolicy['exceptions'] = []) => {
      return () => renderPolicy({ rules, exceptions }, 'x');
    };
    expect(of(new Map([['QS9999', { level: 'note', options: {} }]]))).toThrow(TypeError);
    expect(of(new Map([['QS1104', { level: 'note', options: { max: 5 } }]]))).toThrow(TypeError);
    for (const until of [5, 300_000_000_000 - (300_000_000_000 % 86_400)]) {
      expect(of(new Map(), [{ rule: 'QS1101', images: undefined, reason: 'x', until }])).toThrow(
        TypeError,
      );
    }
  });
});

describe('docs/schema/audit-policy.json', () => {
  const PAGE = fileURLToPath(new URL('../../../docs/schema/audit-policy.json', import.meta.url));

  test('is made from the rules', async () => {
    const options = { ...(await resolveConfig(PAGE)), filepath: PAGE };
    const text = await format(JSON.stringify(policySchema(), undefined, 2), options);
    await expect(text).toMatchFileSnapshot(PAGE);
  });

  test('agrees with what is read: the examples of all rules', async () => {
    for (const rule of AUDIT_RULES) {
      const { example } = helpOfRule(rule);
      const text = `rules:\n  ${example}\n`;
      expect((await read(text)).policy.rules.size, example).toBe(1);
      expect(mistakesOfSchema(text), example).toEqual([]);
    }
  });

  test('takes numbers for words that look like them, as the reader does', async () => {
    const text =
      'rules: { compat: { level: note, allow: [0.10, 1.1] }, QS1307: { level: note, allow: [16] } }';
    expect(mistakesOfSchema(text)).toEqual([]);
    expect((await read(text)).policy.rules.get('QS1305')?.options).toEqual({
      allow: ['0.10', '1.1'],
    });
  });
});

/** Pieces of policies and of YAML, in any order. */
const piece = fc.oneof(
  fc.constantFrom(
    ...[
      'rules',
      'extends',
      'exceptions',
      'snapshots',
      'disk-size',
      'level',
      'max',
      'error',
      'until',
    ],
    ...[
      ': ',
      ':',
      '\n',
      '\n  ',
      '\n\t',
      '- ',
      '[',
      ']',
      '{',
      '}',
      ', ',
      '? ',
      '# ',
      '---\n',
      '...\n',
    ],
    ...[
      '&a ',
      '*a',
      '!t ',
      '!!map ',
      '!<',
      '%YAML 1.1\n',
      '"',
      "'",
      '|\n',
      '>-\n ',
      '<<: ',
      '@',
      '`',
      '\\',
    ],
    ...[
      '2026-02-30',
      '-1',
      '2T',
      '\0',
      '\r',
      '\ufeff',
      '\u2028',
      '__proto__',
      'constructor',
      '~',
      './',
    ],
  ),
  fc.string({ unit: 'binary', maxLength: 5 }),
);

describe('hostile text', () => {
  test(`is a policy or has mistakes, and nothing else comes of it (QSNAP_SEED=${SEED})`, async () => {
    const lines = /^[^\n\p{Cc}]+$/u;
    const text = fc.oneof(
      fc.array(piece, { maxLength: 40 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary' }),
    );
    const file = written('');
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, fc.uint8Array({ maxLength: 60 })), async (content) => {
        writeFileSync(file, content);
        try {
          await readPolicy(file, SECONDS);
        } catch (error) {
          if (!(error instanceof PolicyError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
          for (const problem of error.problems) expect(problemText(problem)).toMatch(lines);
        }
      }),
      { seed: SEED, numRuns: roundsOf(3000) },
    );
  });

  test('of a policy that was changed in one place neither', async () => {
    const sound = renderPolicy(profileOf('golden-image'), 'Sound');
    const change = fc.tuple(fc.nat(sound.length), fc.nat(3), piece);
    await fc.assert(
      fc.asyncProperty(change, async ([at, length, put]) => {
        const { problems } = await parsePolicy(
          'x',
          sound.slice(0, at) + put + sound.slice(at + length),
        );
        expect(problems.every(({ place }) => place!.line > 0 && place!.column > 0)).toBe(true);
      }),
      { seed: SEED, numRuns: roundsOf(500) },
    );
  });

  test('of many keys and mistakes is read in a time that grows as the text does', async () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `  k${i}: 1\n`).join('');
    const { problems } = await parsePolicy('x', `rules:\n${keys}`);
    expect(problems.length).toBe(1001);
    expect(problems.at(-1)?.message).toBe('there are more mistakes than are looked for');
  }, 10_000);
});
