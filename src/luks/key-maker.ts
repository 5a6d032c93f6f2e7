import { QsnapError } from '../errors.js';
import { LIMITS } from '../qcow2/limits.js';
import type { Cryptography } from '../read/guest/platform.js';

/** What keys are made with. Time and randomness come from outside. */
export interface KeyMaker {
  readonly cryptography: Cryptography;
  readonly random: (bytes: number) => Uint8Array;
  /** How many rounds of PBKDF2 this machine does in a second for a key of so many bytes. */
  readonly roundsPerSecond: (hash: string, keyBytes: number) => number;
}

/** LUKS1 on-disk format: fewer are not secure. */
const ROUNDS_MIN = 1000;
/** QEMU: the master key's digest takes an eighth of the time of a key slot. */
const DIGEST_PART = 8;

/**
 * Rounds of PBKDF2 that take so long.
 *
 * @throws QsnapError LIMIT_EXCEEDED where they are more than qsnap reads.
 */
export function roundsOf(
  { roundsPerSecond }: KeyMaker,
  hash: string,
  keyBytes: number,
  milliseconds: number,
): number {
  const rounds = Math.floor((roundsPerSecond(hash, keyBytes) * milliseconds) / 1000);
  const { value: most } = LIMITS.luksIterationsMax;
  if (rounds <= most) return Math.max(rounds, ROUNDS_MIN);
  throw new QsnapError('LIMIT_EXCEEDED', `a key slot would take ${rounds} rounds to open`, {
    structure: 'encryption header',
    actual: String(rounds),
    expected: `at most ${most}`,
    hint: 'give it less time',
  });
}

/** The same for the digest of the master key. */
export function digestRoundsOf(
  maker: KeyMaker,
  hash: string,
  digestBytes: number,
  milliseconds: number,
): number {
  return roundsOf(maker, hash, digestBytes, milliseconds / DIGEST_PART);
}
