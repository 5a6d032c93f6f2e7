/** Secrets of `--object secret,…` as the bytes that they stand for. */
import { readFileSync } from 'node:fs';
import { bytesOf, textOf } from '../grammar/bytes.js';
import { systemText } from '../messages.js';
import { SECRET_REASONS } from '../messages/source.js';
import type { SecretDefinition, Secrets } from '../grammar/option-strings.js';
import { Refusal } from '../refusal.js';

/**
 * Reads all secrets, in the order of the command line.
 *
 * @throws Refusal for a file that can't be read, for bad base64, and for encrypted secrets.
 */
export function readSecrets(definitions: Secrets): ReadonlyMap<string, Uint8Array> {
  const read = new Map<string, Uint8Array>();
  for (const definition of definitions.values()) {
    const { id, format, keyId } = definition;
    if (format !== undefined && format !== 'raw' && format !== 'base64') {
      throw new Refusal(SECRET_REASONS.badFormat(format));
    }
    if (keyId !== undefined) {
      const known = read.has(keyId);
      throw new Refusal(known ? SECRET_REASONS.encrypted(id) : SECRET_REASONS.missing(keyId));
    }
    const bytes = bytesOfSecret(definition);
    read.set(id, format === 'base64' ? fromBase64(bytes) : bytes);
  }
  return read;
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
