import type { FindSecrets } from './secret.js';

/** Not in the middle of a longer word: a token there is a piece of packed or random data. */
const alone = (regex: string): RegExp => new RegExp(`(?<![\\w-])(?:${regex})(?![\\w-])`, 'g');

/**
 * Shapes of secrets that their issuers document, by the names that findings have. Each has a fixed beginning or a long
 * fixed part, so that few other bytes are like it, and every repetition a limit, so that no bytes take long.
 */
const KNOWN: Readonly<Record<string, RegExp>> = {
  // A header alone is in every program that reads keys: the first line of the key has to follow it.
  'private-key':
    /-----BEGIN (?:(?:RSA|DSA|EC|OPENSSH|ENCRYPTED|PGP) )?PRIVATE KEY(?: BLOCK)?-----\r?\n(?:[A-Z][\w-]{1,30}: [^\r\n]{1,80}\r?\n){0,4}(?:\r?\n)?[\w+/=]{16,80}/g,
  'aws-access-key-id': alone('(?:AKIA|ASIA)[A-Z2-7]{16}'),
  'github-token': alone('gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}'),
  'gitlab-token': alone('glpat-[\\w-]{20}'),
  'slack-token': alone('xox[abeoprs]-[0-9]{8,14}-[A-Za-z0-9-]{20,100}'),
  'slack-webhook':
    /https:\/\/hooks\.slack\.com\/services\/T[A-Z0-9]{8,12}\/B[A-Z0-9]{8,12}\/[A-Za-z0-9]{24}/g,
  'google-api-key': alone('AIza[\\w-]{35}'),
  'stripe-secret-key': alone('[rs]k_live_[A-Za-z0-9]{24,107}'),
  'npm-token': alone('npm_[A-Za-z0-9]{36}'),
  'pypi-token': alone('pypi-AgEIcHlwaS5vcmc[\\w-]{50,200}'),
  'sendgrid-key': alone('SG\\.[\\w-]{22}\\.[\\w-]{43}'),
  'json-web-token': alone('eyJ[\\w-]{10,300}\\.eyJ[\\w-]{10,1000}\\.[\\w-]{20,700}'),
  // As in /etc/shadow. The name before it is left to others: it would make the search slow.
  'password-hash': /:\$(?:1|5|6|7|y|gy|2[aby])\$[./A-Za-z0-9$=,-]{20,200}:[0-9]{0,6}:[0-9]{0,6}:/g,
  // The header of a volume in LUKS1 or LUKS2: with it and the passphrase an old copy opens.
  'luks-header': /LUKS\xba\xbe\0/g,
};

/**
 * The names of the shapes that are always looked for.
 *
 * ```ts
 * console.log(KNOWN_SECRETS.includes('private-key')); // true
 * ```
 */
export const KNOWN_SECRETS: readonly string[] = Object.keys(KNOWN);

/** Characters that are made at once: as many arguments as every engine takes. */
const PIECE = 8192;

/** One character for each byte. Node's decoder of Latin-1 takes four times as long, and changes some bytes. */
function oneByteText(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += PIECE) {
    const codes: ArrayLike<number> = bytes.subarray(i, i + PIECE);
    text += String.fromCharCode.apply(undefined, codes as number[]);
  }
  return text;
}

/**
 * Finds secrets of the known shapes. A character is a byte.
 *
 * ```ts
 * for (const { pattern, at, length } of findKnownSecrets(bytes, () => true)) console.log(pattern, at, length);
 * ```
 */
export const findKnownSecrets: FindSecrets = function* (bytes, wants) {
  const text = oneByteText(bytes);
  for (const [pattern, regex] of Object.entries(KNOWN)) {
    if (!wants(pattern)) continue;
    for (const { index, 0: found } of text.matchAll(regex)) {
      if (!wants(pattern)) break;
      yield { pattern, at: index, length: found.length };
    }
  }
};
