/** `-o encryption` and `-o encrypt.…` of new images. */
import { isQsnapError, type NewEncryption } from '../../../index.js';
import { aesCipher, luksBytes, newLuks } from '../../../internal.js';
import { nodeCryptography } from '../../../node/index.js';
import { keyMaker } from '../disks/key-maker.js';
import { passphraseOf } from '../disks/secrets.js';
import { sentenceOf } from '../messages.js';
import { NEW_IMAGE } from '../messages/create.js';
import { ENCRYPTION } from '../messages/encryption.js';
import type { Behaviour } from '../version/behaviour.js';
import type { Refusal } from '../refusal.js';
import { isOn, type GivenOptions } from './new-image-options.js';

type Fail = (reason: string) => Refusal;

const PREFIX = 'encrypt.';
/** QEMU: how long it takes to try a passphrase. */
const MILLISECONDS = '2000';

/** How a new image is to be encrypted. */
export interface WantedEncryption {
  readonly method: 'aes' | 'luks';
  readonly keySecret: string | undefined;
  readonly luks: WantedLuks;
}

interface WantedLuks {
  /** As QEMU names it: such as "aes-256". */
  readonly cipher: string;
  readonly mode: string;
  readonly ivGenerator: string;
  readonly ivHash: string | undefined;
  readonly hash: string;
  readonly milliseconds: number;
}

/** Whether anything is said of encryption. */
export function saysOfEncryption(given: GivenOptions): boolean {
  return [...given.keys()].some((key) => key === 'encryption' || key.startsWith(PREFIX));
}

/** @throws Refusal for both names of the option, which QEMU looks for before anything else. */
export function refuseBothNames(given: GivenOptions, fail: Fail): void {
  if (isOn(given.get('encryption')) && given.has('encrypt.format')) throw fail(ENCRYPTION.alias);
}

/**
 * What the options ask for; undefined: no encryption.
 *
 * @throws Refusal for what they can't say, in QEMU's order.
 */
export function encryptionOf(
  given: GivenOptions,
  behaviour: Behaviour,
  fail: Fail,
): WantedEncryption | undefined {
  const keys = [...given.keys()].filter((key) => key.startsWith(PREFIX));
  const format = isOn(given.get('encryption')) ? 'aes' : given.get('encrypt.format');
  if (format === undefined) {
    if (keys.length > 0) throw fail(NEW_IMAGE.missing('encrypt.format'));
    return undefined;
  }
  const method = METHODS.get(format);
  if (method === undefined) throw fail(NEW_IMAGE.notAccepted('format', format));
  const unexpected = LUKS_KEYS.find((key) => given.has(key));
  if (method === 'aes' && unexpected !== undefined) throw fail(ENCRYPTION.unexpected(unexpected));
  return {
    method,
    keySecret: given.get('encrypt.key-secret'),
    luks: luksOf(given, behaviour, fail),
  };
}

const METHODS: ReadonlyMap<string, 'aes' | 'luks'> = new Map([
  ['aes', 'aes'],
  ['qcow', 'aes'],
  ['luks', 'luks'],
]);

/** What LUKS alone takes, in the order in which QEMU looks at it. */
const LUKS_KEYS: readonly string[] = [
  'encrypt.cipher-alg',
  'encrypt.cipher-mode',
  'encrypt.ivgen-alg',
  'encrypt.ivgen-hash-alg',
  'encrypt.hash-alg',
  'encrypt.iter-time',
];

const CIPHERS: readonly string[] = (
  'aes-128 aes-192 aes-256 des 3des cast5-128 serpent-128 serpent-192 serpent-256 twofish-128 ' +
  'twofish-192 twofish-256'
).split(' ');
const MODES: readonly string[] = ['ecb', 'cbc', 'xts', 'ctr'];
const IV_GENERATORS: readonly string[] = ['plain', 'plain64', 'essiv'];
const HASHES: readonly string[] = [
  'md5',
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'ripemd160',
];

function luksOf(given: GivenOptions, { sm3, sm4 }: Behaviour, fail: Fail): WantedLuks {
  const chosen = (key: string, byDefault: string, known: readonly string[]): string => {
    const value = given.get(PREFIX + key) ?? byDefault;
    if (!known.includes(value)) throw fail(NEW_IMAGE.notAccepted(key, value));
    return value;
  };
  const hashes = sm3 ? [...HASHES, 'sm3'] : HASHES;
  const cipher = chosen('cipher-alg', 'aes-256', sm4 ? [...CIPHERS, 'sm4'] : CIPHERS);
  const mode = chosen('cipher-mode', 'xts', MODES);
  const ivGenerator = chosen('ivgen-alg', 'plain64', IV_GENERATORS);
  const ivHash = chosen('ivgen-hash-alg', 'sha256', hashes);
  const hash = chosen('hash-alg', 'sha256', hashes);
  const time = BigInt(given.get('encrypt.iter-time') ?? MILLISECONDS);
  return {
    cipher,
    mode,
    ivGenerator,
    ivHash: ivGenerator === 'essiv' ? ivHash : undefined,
    hash,
    milliseconds: Number(BigInt.asUintN(64, time)),
  };
}

/** A cipher by the words of a LUKS header. */
interface NamedCipher {
  readonly cipher: { readonly cipher: string } & Pick<
    WantedLuks,
    'mode' | 'ivGenerator' | 'ivHash'
  >;
  readonly keyBytes: number;
}

/** @throws Refusal for ciphers that are not known here. */
function cipherOf({ cipher, mode, ivGenerator, ivHash }: WantedLuks, fail: Fail): NamedCipher {
  const bits = /^aes-(\d+)$/.exec(cipher)?.[1];
  if (bits === undefined || (mode !== 'cbc' && mode !== 'xts')) {
    throw fail(ENCRYPTION.unsupportedCipher(`${cipher} in ${mode} mode`));
  }
  if (ivHash !== undefined) {
    const { length } = nodeCryptography().digest(ivHash, new Uint8Array(0));
    if (![16, 24, 32].includes(length)) throw fail(ENCRYPTION.vectorKey(length));
  }
  const keyBytes = (Number(bits) / 8) * (mode === 'xts' ? 2 : 1);
  return { cipher: { cipher: 'aes', mode, ivGenerator, ivHash }, keyBytes };
}

/**
 * How many bytes an image with LUKS keeps for its keys.
 *
 * @throws Refusal as `newEncryption`.
 */
export function luksBytesOf(
  given: GivenOptions,
  behaviour: Behaviour,
  secrets: ReadonlyMap<string, Uint8Array>,
  fail: Fail,
): number {
  const luks = luksOf(given, behaviour, fail);
  passphraseOf(given.get('encrypt.key-secret'), secrets, fail);
  return luksBytes(cipherOf(luks, fail).keyBytes);
}

/**
 * Makes the keys of a new image.
 *
 * @throws Refusal without the secret, or for a cipher that is not known here.
 */
export async function newEncryption(
  { method, keySecret, luks }: WantedEncryption,
  secrets: ReadonlyMap<string, Uint8Array>,
  fail: Fail,
): Promise<NewEncryption> {
  const passphrase = passphraseOf(keySecret, secrets, fail);
  if (method === 'aes') {
    const { encrypt, numberedBy } = aesCipher(passphrase, nodeCryptography());
    return { method, keys: undefined, encrypt, numberedBy };
  }
  const { hash, milliseconds } = luks;
  try {
    return await newLuks({ ...cipherOf(luks, fail), hash, milliseconds, passphrase }, keyMaker());
  } catch (error) {
    throw isQsnapError(error) ? fail(sentenceOf(error)) : error;
  }
}
