import type { OptionValues } from './rule.js';

/** The number of an option; undefined where nothing is asked for. */
export function numberOf(options: OptionValues, name: string): number | undefined {
  const value = options[name];
  return typeof value === 'number' ? value : undefined;
}

/** The texts of an option; none where nothing is asked for. */
export function textsOf(options: OptionValues, name: string): readonly string[] {
  const value = options[name];
  return typeof value === 'object' ? value.filter((one) => typeof one === 'string') : [];
}
