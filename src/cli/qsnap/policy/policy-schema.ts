import { AUDIT_RULES, PROFILE_NAMES, type OptionSpec, type Rule } from '../../../index.js';
import { PATTERN_MAX } from './option-value.js';
import { LEVELS } from './parse-rules.js';
import { REGEX_MAX, REGEX_NAME, REGEXES_MAX } from './regex-value.js';

type Schema = Readonly<Record<string, unknown>>;

const LEVEL: Schema = { enum: LEVELS };
const NOTHING: Schema = { type: 'null' };
const COUNT: Schema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };

const PATTERNS: Schema = {
  type: 'array',
  minItems: 1,
  items: { type: 'string', minLength: 1, maxLength: PATTERN_MAX },
};

const REGEXES: Schema = {
  type: 'array',
  minItems: 1,
  maxItems: REGEXES_MAX,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['name', 'regex'],
    properties: {
      name: { type: 'string', pattern: REGEX_NAME },
      regex: {
        description: 'In the syntax of RE2: no backreferences, and no looking around',
        type: 'string',
        pattern: '^[ -~]+$',
        maxLength: REGEX_MAX,
      },
    },
  },
};

/** The JSON schema of policy files, for editors: docs/schema/audit-policy.json. */
export function policySchema(): Schema {
  const settings = AUDIT_RULES.flatMap(({ id, name }): readonly [string, Schema][] => [
    [name, { $ref: `#/$defs/${id}` }],
    [id, { $ref: `#/$defs/${id}` }],
  ]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'audit-policy.json',
    title: 'A policy of qsnap audit',
    type: 'object',
    additionalProperties: false,
    properties: {
      $schema: { type: 'string', description: 'For editors' },
      extends: {
        description:
          'Profiles by name, and files from the folder of this one; later ones win, and this file wins over all',
        anyOf: [NOTHING, { type: 'array', minItems: 1, items: baseSchema() }],
      },
      rules: {
        description: 'Rules by name or id; what is not here, nor in what this extends, is off',
        anyOf: [
          NOTHING,
          { type: 'object', additionalProperties: false, properties: Object.fromEntries(settings) },
        ],
      },
      exceptions: {
        description: 'What is known and allowed for some time',
        anyOf: [NOTHING, { type: 'array', items: exceptionSchema() }],
      },
    },
    $defs: Object.fromEntries(AUDIT_RULES.map((rule) => [rule.id, settingSchema(rule)])),
  };
}

function baseSchema(): Schema {
  const file = { type: 'string', pattern: '^\\.{0,2}/', description: 'A file' };
  return { anyOf: [{ enum: PROFILE_NAMES }, file] };
}

function settingSchema({ id, title, reason, options }: Rule): Schema {
  const own = Object.entries(options).map(([name, spec]) => [name, optionSchema(spec)] as const);
  const properties = { level: LEVEL, ...Object.fromEntries(own) };
  const map = { type: 'object', additionalProperties: false, required: ['level'], properties };
  return { title: `${id}: ${title}`, description: reason, anyOf: [LEVEL, map] };
}

function optionSchema(spec: OptionSpec): Schema {
  const { about, default: byDefault } = spec;
  const described = { description: about, ...(byDefault !== undefined && { default: byDefault }) };
  return { ...described, ...valueSchema(spec) };
}

function valueSchema({ kind, words = [] }: OptionSpec): Schema {
  switch (kind) {
    case 'count':
      return COUNT;
    case 'bytes': {
      const size = { type: 'string', pattern: '^\\d+(\\.\\d+)?([KMGTPEkmgtpe]([Ii][Bb])?)?$' };
      return { anyOf: [COUNT, size] };
    }
    case 'age':
      return { type: 'string', pattern: '^\\d{1,6}[hdwy]$' };
    case 'patterns':
      return PATTERNS;
    case 'regexes':
      return REGEXES;
    case 'words':
      return { type: 'array', minItems: 1, items: { enum: wordsAndNumbers(words) } };
  }
}

/** Editors take 16 for a number, and it is as good as "16" here. */
function wordsAndNumbers(words: readonly string[]): readonly (string | number)[] {
  const numbers = words.map(Number).filter((number) => !Number.isNaN(number));
  return [...words, ...numbers];
}

function exceptionSchema(): Schema {
  const rules = AUDIT_RULES.flatMap(({ id, name }) => [name, id]);
  return {
    type: 'object',
    additionalProperties: false,
    required: ['rule', 'reason', 'until'],
    properties: {
      rule: { enum: rules },
      images: { description: 'Patterns of paths; without them it is for all', ...PATTERNS },
      reason: { type: 'string', pattern: '\\S' },
      until: {
        description: 'The last day on which it holds, in UTC',
        type: 'string',
        pattern: '^\\d{4}-\\d\\d-\\d\\d$',
      },
    },
  };
}
