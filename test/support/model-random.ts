/** Random choices that a seed repeats: every test that uses them prints its seed. */
export interface Random {
  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
}

/** The generator known as mulberry32: one 32-bit word of state. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(next() * end);
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (choices) => choices[below(choices.length)]!,
  };
}

/** `QSNAP_SEED`, or the fixed seed that a plain run uses. */
export function seedOf(env: NodeJS.ProcessEnv = process.env): number {
  return Number(env['QSNAP_SEED'] ?? 20_240_617);
}

/** `QSNAP_ROUNDS`, or as many rounds as a plain run has time for. */
export function roundsOf(byDefault: number, env: NodeJS.ProcessEnv = process.env): number {
  return Number(env['QSNAP_ROUNDS'] ?? byDefault);
}
