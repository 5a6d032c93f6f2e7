/** `key=value,key=value`. A comma in a value is doubled. */
import { OPEN_REASONS, OPTION_STRINGS, couldNotOpen } from '../messages.js';
import { isOtherFormat } from '../disks/formats.js';
import { Refusal } from '../refusal.js';

/** An item without `=` has an undefined value. */
type Item = readonly [key: string, value: string | undefined];
/** The same out of JSON: of any type. */
type JsonItem = readonly [key: string, value: unknown];

/** The items of `--object`, `--image-opts` and `-l`, where a doubled comma stands for one in a key, too. */
export function itemsOf(text: string): Item[] {
  const items = text.match(/(?:[^,]|,,)+/g) ?? [];
  return items.map((item) => {
    const plain = item.replaceAll(',,', ',');
    const equals = plain.indexOf('=');
    return equals === -1 ? [plain, undefined] : [plain.slice(0, equals), plain.slice(equals + 1)];
  });
}

const OPTION = /([^=,]*)(?:=((?:[^,]|,,)*))?(?:,|$)/g;

/** The items of `-o`, where any comma ends a key. */
export function optionItemsOf(text: string): Item[] {
  const items = [...text.matchAll(OPTION)].filter(([item]) => item !== '');
  return items.map(([, key, value]) => [key!, value?.replaceAll(',,', ',')]);
}

export const IDENTIFIER = /^[A-Za-z][-._A-Za-z0-9]*$/;

const SECRET_KEYS: ReadonlySet<string> = new Set([
  'qom-type',
  'id',
  'data',
  'file',
  'format',
  'loaded',
  'keyid',
  'iv',
]);

/** A secret as `--object` defines it; nothing is read yet. Byte strings. */
export interface SecretDefinition {
  readonly id: string;
  readonly data: string | undefined;
  readonly file: string | undefined;
  readonly format: string | undefined;
  /** Id of the secret that this one is encrypted with, and the initial vector. */
  readonly keyId: string | undefined;
  readonly iv: string | undefined;
}

/** Secrets by their id, in the order of the command line. */
export type Secrets = Map<string, SecretDefinition>;

/**
 * Judges an object definition. A command that decrypts nothing accepts a secret for the sake of
 * command lines that pass one, and never reads it.
 *
 * @param secrets defined before; the new one is added.
 */
export function acceptObject(text: string, secrets: Secrets): void {
  const items = text.trimStart().startsWith('{') ? jsonItems(text) : impliedType(itemsOf(text));
  const invalid = items.find(([key]) => !IDENTIFIER.test(key));
  if (invalid !== undefined) throw new Refusal(OPTION_STRINGS.invalidKey(invalid[0]));
  const value = (key: string): string | undefined => {
    const given = items.findLast(([candidate]) => candidate === key)?.[1];
    if (given === undefined || typeof given === 'string') return given;
    throw new Refusal(OPTION_STRINGS.notText(key));
  };
  const type = value('qom-type');
  if (type === undefined) throw new Refusal(OPTION_STRINGS.typeMissing);
  if (type !== 'secret') throw new Refusal(OPTION_STRINGS.typeUnknown(type));
  const id = value('id');
  if (id === undefined) throw new Refusal(OPTION_STRINGS.idMissing);
  const [format, keyId, iv, data, file] = ['format', 'keyid', 'iv', 'data', 'file'].map(value);
  const unexpected = items.find(([key]) => !SECRET_KEYS.has(key));
  if (unexpected !== undefined) throw new Refusal(OPTION_STRINGS.unexpected(unexpected[0]));
  if (!IDENTIFIER.test(id)) throw new Refusal(OPTION_STRINGS.idInvalid);
  if (data === undefined && file === undefined) throw new Refusal(OPTION_STRINGS.noSecret);
  if (data !== undefined && file !== undefined) throw new Refusal(OPTION_STRINGS.twoSecrets);
  if (secrets.has(id)) throw new Refusal(OPTION_STRINGS.idTwice(id));
  secrets.set(id, { id, data, file, format, keyId, iv });
}

/** The first item may be the type alone. */
function impliedType(items: Item[]): Item[] {
  const [first, ...rest] = items;
  if (first === undefined || first[1] !== undefined) return items;
  return [['qom-type', first[0]], ...rest];
}

function jsonItems(text: string): JsonItem[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(`'${text}' is not valid JSON`);
  }
  return Object.entries(value as Readonly<Record<string, unknown>>);
}

/** What `--image-opts` may say here: a format and the file that it lies in. */
export interface ImageOptions {
  readonly format: 'qcow2' | 'raw' | undefined;
  readonly path: string;
  /** Id of the secret that opens an encrypted image. */
  readonly keySecret: string | undefined;
  /** How the image is said to be encrypted. */
  readonly keyFormat: string | undefined;
}

/** Options that name a secret or its format. */
const KEY_OPTIONS: ReadonlySet<string> = new Set(['encrypt.key-secret', 'encrypt.format']);

/** @throws Refusal for anything but a file with its format. */
export function parseImageOptions(text: string): ImageOptions {
  const items = itemsOf(text);
  const refuse = (reason: string): never => {
    throw couldNotOpen(text, reason);
  };
  const values = new Map(items.map(([key, value]) => [key, value ?? 'on']));
  const [first] = items;
  if (first !== undefined && first[1] === undefined) {
    refuse(OPTION_STRINGS.noSuchNode(first[0]));
  }
  const driver = values.get('driver');
  const path = driver === 'file' ? values.get('filename') : values.get('file.filename');
  if (driver === undefined && path === undefined) refuse(OPTION_STRINGS.noDriver);
  if (driver !== undefined && driver !== 'qcow2' && driver !== 'raw') {
    const known = isOtherFormat(driver);
    refuse(known ? OPEN_REASONS.unsupportedFormat(driver) : OPEN_REASONS.unknownDriver(driver));
  }
  for (const [key, value] of values) {
    const isKnown = key === 'driver' || key === 'file.filename' || KEY_OPTIONS.has(key);
    if (isKnown || (key === 'file.driver' && value === 'file')) continue;
    // QEMU has many more that are about the file or the cache; what has a dot may be one of them.
    const isForeign = driver !== undefined && /^[a-z]+$/.test(key);
    refuse(
      isForeign ? OPTION_STRINGS.noSuchOption(driver, key) : OPEN_REASONS.unsupportedOption(key),
    );
  }
  if (path === undefined) return refuse(OPTION_STRINGS.noFile);
  return {
    format: driver as 'qcow2' | 'raw' | undefined,
    path,
    keySecret: values.get('encrypt.key-secret'),
    keyFormat: values.get('encrypt.format'),
  };
}
