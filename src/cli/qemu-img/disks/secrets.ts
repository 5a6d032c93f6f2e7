/** Secrets of `--object secret,…` as the bytes that they stand for. */
import { createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { byteString, bytesOf, textOf } from '../grammar/bytes.js';
import { systemText } from '../messages.js';
import { KEY_REASONS, SECRET_REASONS } from '../messages/source.js';
import type { SecretDefinition, Secrets } from '../grammar/option-strings.js';
import { Refusal } from '../refusal.js';

/**
 * Reads all secrets, in the order of the command line.
 *
 * @throws Refusal for a file that can't be read, for bad base64, and for what does not decrypt.
 */
export function readSecrets(definitions: Secrets): ReadonlyMap<string, Uint8Array> {
  const read = new Map<string, Uint8Array>();
  for (const definition of definitions.values()) {
    const { id, format } = definition;
    if (format !== undefined && format !== 'raw' && format !== 'base64') {
      throw new Refusal(SECRET_REASONS.badFormat(format));
    }
    const stored = bytesOfSecret(definition);
    const key = keyOf(definition, read);
    const bytes = format === 'base64' ? fromBase64(stored) : stored;
    read.set(id, key === undefined ? bytes : decrypted(bytes, key));
  }
  return read;
}

const KEY_BYTES = 32;
/** Of AES. */
const BLOCK_BYTES = 16;

interface SecretKey {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** What a secret that is encrypted by another one is decrypted with. */
function keyOf(
  { keyId, iv }: SecretDefinition,
  read: ReadonlyMap<string, Uint8Array>,
): SecretKey | undefined {
  if (keyId === undefined) return undefined;
  const key = read.get(keyId);
  if (key === undefined) throw new Refusal(SECRET_REASONS.missing(keyId));
  if (key.length !== KEY_BYTES) throw new Refusal(SECRET_REASONS.keyBytes(KEY_BYTES));
  if (iv === undefined) throw new Refusal(SECRET_REASONS.noIv);
  const bytes = fromBase64(bytesOf(iv));
  if (bytes.length !== BLOCK_BYTES) {
    throw new Refusal(SECRET_REASONS.ivBytes(BLOCK_BYTES, bytes.length));
  }
  return { key, iv: bytes };
}

/** AES-256 in CBC mode. Of the padding QEMU looks at the last byte alone. */
function decrypted(bytes: Uint8Array, { key, iv }: SecretKey): Uint8Array {
  const { length } = bytes;
  if (length % BLOCK_BYTES !== 0) throw new Refusal(SECRET_REASONS.noBlocks(length, BLOCK_BYTES));
  const decipher = createDecipheriv(`aes-${KEY_BYTES * 8}-cbc`, key, iv).setAutoPadding(false);
  const plain = new Uint8Array(decipher.update(bytes));
  const padding = plain.at(-1) ?? 0;
  if (padding > BLOCK_BYTES) throw new Refusal(SECRET_REASONS.padding(padding));
  return plain.subarray(0, length - padding);
}

/**
 * The passphrase that an option names.
 *
 * @param fail what an error becomes.
 */
export function passphraseOf(
  id: string | undefined,
  secrets: ReadonlyMap<string, Uint8Array>,
  fail: (reason: string) => Error,
): Uint8Array {
  if (id === undefined) throw fail(KEY_REASONS.required);
  const secret = secrets.get(id);
  if (secret === undefined) throw fail(SECRET_REASONS.missing(id));
  // To glib no text has a zero byte.
  if (secret.includes(0) || textOf(byteString(secret)) === undefined) {
    throw fail(SECRET_REASONS.notUtf8(id));
  }
  return secret;
}

function bytesOfSecret({ data, file }: SecretDefinition): Uint8Array {
  if (file === undefined) return bytesOf(data ?? '');
  try {
    return new Uint8Array(readFileSync(textOf(file) ?? ''));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const reason = systemText(code) ?? code;
    const text = code === 'EISDIR' ? SECRET_REASONS.notReadable : SECRET_REASONS.unreadable;
    throw new Refusal(text(file, reason));
  }
}

/** As glib decodes it: groups of four characters; what is left at the end is dropped. */
function fromBase64(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  if (!/^[A-Za-z0-9+/=\n]*$/.test(text)) throw new Refusal(SECRET_REASONS.badBase64);
  const packed = text.replaceAll('\n', '');
  const whole = packed.slice(0, packed.length - (packed.length % 4));
  return new Uint8Array(Buffer.from(whole, 'base64'));
}
