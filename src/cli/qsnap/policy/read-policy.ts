import path from 'node:path';
import {
  findRule,
  PROFILE_NAMES,
  profileOf,
  type AuditPolicy,
  type RuleSetting,
} from '../../../index.js';
import { countText } from '../../text.js';
import { didYouMean } from './near-word.js';
import { dayText, type ParsedException } from './parse-exceptions.js';
import { parsePolicy, type ParsedBase, type ParsedPolicy } from './parse-policy.js';
import type { ParsedSetting } from './parse-rules.js';
import { PolicyError, type PolicyProblem } from './policy-error.js';
import { findFile, readText } from './policy-file.js';

/** Ours: files that extend one another, the first one included. */
const LEVELS_MAX = 16;

const DAY_SECONDS = 86_400;

/** A policy, and what is odd about its files and yet no mistake. */
export interface ReadPolicy {
  readonly policy: AuditPolicy;
  /** Exceptions that are over or for rules that are off; rules and policies that ask for nothing. */
  readonly warnings: readonly PolicyProblem[];
}

/** What is said of a rule, and how to say something of that; profiles have no place for it. */
interface LayerSetting extends RuleSetting {
  readonly told?: ParsedSetting['told'];
}

/** What a profile, or a file with all that it extends, says. */
interface Layer {
  readonly rules: ReadonlyMap<string, LayerSetting>;
  readonly exceptions: ReadonlySet<ParsedException>;
}

const EMPTY: Layer = { rules: new Map(), exceptions: new Set() };

/**
 * Reads a policy file and what it extends.
 *
 * @param now seconds since the Epoch, which tell the exceptions that are over.
 * @throws PolicyError with all mistakes of all these files.
 */
export async function readPolicy(file: string, now: number): Promise<ReadPolicy> {
  const reader = new PolicyReader();
  const { rules, exceptions } = await reader.layerOfFile(file);
  if (reader.problems.length > 0) throw new PolicyError(file, reader.problems);
  const odd = [
    ...[...rules].flatMap(([id, setting]) => idleRule(id, setting)),
    ...[...exceptions].flatMap((one) => oddities(one, rules, now)),
  ];
  const isIdle = [...rules.values()].every(({ level }) => level === undefined);
  const message = 'no rule is on, so that every image keeps this policy';
  return {
    policy: {
      rules: settingsOf(rules),
      exceptions: [...exceptions].map(({ exception }) => exception),
    },
    warnings: isIdle ? [{ file, place: undefined, message }, ...odd] : odd,
  };
}

const settingsOf = (rules: Layer['rules']): AuditPolicy['rules'] =>
  new Map([...rules].map(([id, { level, options }]) => [id, { level, options }]));

function idleRule(id: string, { level, options, told }: LayerSetting): readonly PolicyProblem[] {
  const { name, idleWithout } = findRule(id)!;
  const isIdle = idleWithout?.every((option) => options[option] === undefined) ?? false;
  if (!isIdle || level === undefined || told === undefined) return [];
  const wanted = idleWithout!.join(' or ');
  return [told(`the rule ${name} is on without ${wanted}, so that it asks for nothing`)];
}

function oddities(
  { exception, told }: ParsedException,
  rules: Layer['rules'],
  now: number,
): readonly PolicyProblem[] {
  const name = findRule(exception.rule)!.name;
  const isOff = rules.get(exception.rule)?.level === undefined;
  const off = told(`the rule ${name} is off, so that nothing is excepted from it`);
  const days = Math.floor((now - exception.until) / DAY_SECONDS) + 1;
  const last = dayText(exception.until - DAY_SECONDS);
  const over = told(`this exception from ${name} ended on ${last}, ${countText(days, 'day')} ago`);
  return [...(isOff ? [off] : []), ...(now >= exception.until ? [over] : [])];
}

class PolicyReader {
  readonly problems: PolicyProblem[] = [];
  /** By paths without links: a file that several extend is read once. */
  readonly #layers = new Map<string, Layer>();

  /**
   * @param above paths without links of the files that led here.
   * @param base where it was named; undefined: on the command line.
   */
  async layerOfFile(
    file: string,
    above: readonly string[] = [],
    base?: ParsedBase,
  ): Promise<Layer> {
    const fail = (message: string): Layer => {
      this.problems.push(base?.told(message) ?? { file, place: undefined, message });
      return EMPTY;
    };
    const { real, why } = findFile(file);
    if (real === undefined) return fail(why);
    if (above.includes(real)) return fail('leads back to itself; no policy can extend itself');
    if (above.length === LEVELS_MAX) {
      return fail(
        `is file ${LEVELS_MAX + 1} in a row of files that extend one another; ${LEVELS_MAX} are allowed`,
      );
    }
    const known = this.#layers.get(real);
    if (known !== undefined) return known;
    const read = readText(real);
    if (read.text === undefined) {
      if (read.place === undefined) return fail(read.why);
      this.problems.push({ file, place: read.place, message: read.why });
      return EMPTY;
    }
    const parsed = await parsePolicy(file, read.text);
    this.problems.push(...parsed.problems);
    const layer = layered(await this.#basesOf(parsed, file, [...above, real]), parsed);
    this.#layers.set(real, layer);
    return layer;
  }

  async #basesOf(
    parsed: ParsedPolicy,
    file: string,
    above: readonly string[],
  ): Promise<readonly Layer[]> {
    const taken = new Set<string>();
    const layers: Layer[] = [];
    for (const base of parsed.extends) {
      const { word, told } = base;
      const isFile = /^\.{0,2}\//.test(word);
      const beside = path.isAbsolute(word) ? word : path.join(path.dirname(file), word);
      const key = isFile ? (findFile(beside).real ?? beside) : word;
      if (taken.has(key)) {
        this.problems.push(told('is extended already, a second time changes nothing'));
        continue;
      }
      taken.add(key);
      layers.push(isFile ? await this.layerOfFile(beside, above, base) : this.#profile(base));
    }
    return layers;
  }

  #profile({ word, told }: ParsedBase): Layer {
    const name = PROFILE_NAMES.find((one) => one === word);
    if (name !== undefined) return { ...EMPTY, rules: profileOf(name).rules };
    const near = didYouMean(word, PROFILE_NAMES);
    const known = `there is ${PROFILE_NAMES.join(', ')}, and a file is written "./…"`;
    this.problems.push(told(`is no profile${near === '' ? `; ${known}` : near}`));
    return EMPTY;
  }
}

/** Later ones win, and the file over all. A level alone leaves the options as they are. */
function layered(bases: readonly Layer[], { rules: own, exceptions }: ParsedPolicy): Layer {
  const rules = new Map(bases.flatMap((base) => [...base.rules]));
  for (const [id, { level, options, told }] of own) {
    rules.set(id, { level, options: options ?? rules.get(id)?.options ?? {}, told });
  }
  return {
    rules,
    exceptions: new Set([...bases.flatMap((base) => [...base.exceptions]), ...exceptions]),
  };
}
