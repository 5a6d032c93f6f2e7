/** What makes the keys of encrypted images. */
import type { KeyMaker } from '../../../internal.js';
import { nodeCryptography } from '../../../node/index.js';

const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');

/** A shorter run is measured too coarsely. */
const RUN_MICROSECONDS = 100_000;
const FIRST_ROUNDS = 4096;
const SALT = new Uint8Array(32);

/** Keys by OpenSSL's ciphers and random numbers, as slow to guess as this machine is told to make them. */
export function keyMaker(): KeyMaker {
  const cryptography = nodeCryptography();
  return {
    cryptography,
    random: (bytes) => new Uint8Array(crypto().randomBytes(bytes)),
    roundsPerSecond: (hash, keyBytes) => {
      // A hash that is not known has an error of its own.
      cryptography.digest(hash, SALT);
      return measured((rounds) => crypto().pbkdf2Sync(SALT, SALT, rounds, keyBytes, hash));
    },
  };
}

/** Rounds in a second of this program's own time, whatever else the machine does. */
function measured(run: (rounds: number) => void): number {
  for (let rounds = FIRST_ROUNDS; ;) {
    const before = process.cpuUsage();
    run(rounds);
    const { user, system } = process.cpuUsage(before);
    const spent = Math.max(1, user + system);
    if (spent >= RUN_MICROSECONDS) return (rounds * 1e6) / spent;
    rounds = Math.ceil(rounds * Math.min(16, (1.2 * RUN_MICROSECONDS) / spent));
  }
}
