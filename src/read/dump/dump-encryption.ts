import { decodeStruct } from '../../base/struct.js';
import { hex } from '../../base/words.js';
import {
  LUKS_BYTES,
  LUKS_HEADER,
  LUKS_HEADER_BYTES,
  LUKS_SLOT,
  LUKS_SLOT_BYTES,
  LUKS_SLOT_COUNT,
  LUKS_SLOT_ENABLED,
  LUKS_SLOT_SALT,
  LUKS_SLOTS_AT,
  LUKS_TEXTS,
} from '../../qcow2/luks.js';
import { ENCRYPTION_POINTER, ENCRYPTION_POINTER_BYTES } from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import { notRead } from './dump-tables.js';
import { bytesField, fieldsOf, type FieldWords, type Piece } from './piece.js';
import { misplaced } from './snapshot-fields.js';

const OF = { part: 'encryption', structure: 'LUKS header' } as const;

const HEADER: FieldWords<typeof LUKS_HEADER> = {
  magicHigh: ['magic', (value) => wanted(value, 0x4c554b53, '"LUKS"')],
  magicLow: ['magic', (value) => wanted(value, 0xbabe, '0xbabe')],
  version: ['version', (value) => ({ expected: value === 1 ? undefined : '1' })],
  payloadSectors: ['payload-offset', (value) => ({ text: `${value} sectors` })],
  masterKeyBytes: ['key-bytes', (value) => ({ text: `${value} bytes` })],
  masterKeyIterations: ['mk-digest-iter'],
};

const SLOT: FieldWords<typeof LUKS_SLOT> = {
  active: [
    'active',
    (value) => ({
      text: `${hex(value)} (${value === LUKS_SLOT_ENABLED ? 'enabled' : 'disabled'})`,
    }),
  ],
  iterations: ['iterations'],
  keySectors: ['key-material-offset', (value) => ({ text: `${value} sectors` })],
  stripes: ['stripes'],
};

function wanted(value: number | bigint, right: number, name: string) {
  return value === right ? { text: name } : { text: hex(value), expected: name };
}

const TEXT_NAMES = {
  cipherName: 'cipher-name',
  cipherMode: 'cipher-mode',
  hashName: 'hash-spec',
  uuid: 'uuid',
} as const satisfies Record<keyof typeof LUKS_TEXTS, string>;
const BYTE_NAMES = {
  masterKeyDigest: 'mk-digest',
  masterKeySalt: 'mk-digest-salt',
} as const satisfies Record<keyof typeof LUKS_BYTES, string>;

/**
 * The LUKS header, without the keys.
 *
 * @param pointer the data of the full disk encryption header pointer; no bytes where there is none.
 * Spec: LUKS1 on-disk format specification, version 1.2.3, by whose names fields go.
 */
export async function* dumpEncryption(
  { source, fileSizeBytes, geometry }: DumpableImage,
  pointer: Uint8Array,
): AsyncGenerator<readonly DumpedField[]> {
  if (pointer.length < ENCRYPTION_POINTER_BYTES) return;
  const { at, bytes } = decodeStruct(ENCRYPTION_POINTER, pointer);
  const limits = { clusterBytes: geometry?.clusterBytes, fileSizeBytes };
  const wrong = misplaced(at, limits);
  if (wrong !== undefined) {
    yield [notRead(OF, Number(at), `${bytes} bytes at ${hex(at)}`, wrong)];
    return;
  }
  const header = await readPiece(source, fileSizeBytes, Number(at), LUKS_HEADER_BYTES);
  yield luksFields({ at: Number(at), bytes: header });
}

function luksFields(piece: Piece): DumpedField[] {
  const fields = fieldsOf(OF, LUKS_HEADER, HEADER, piece);
  for (const [key, { at, bytes }] of Object.entries(LUKS_TEXTS)) {
    const name = TEXT_NAMES[key as keyof typeof LUKS_TEXTS];
    fields.push(bytesField(OF, name, piece, [at, bytes], 'padded'));
  }
  for (const [key, { at, bytes }] of Object.entries(LUKS_BYTES)) {
    const name = BYTE_NAMES[key as keyof typeof LUKS_BYTES];
    fields.push(bytesField(OF, name, piece, [at, bytes]));
  }
  fields.sort((a, b) => a.at - b.at);
  for (let slot = 0; slot < LUKS_SLOT_COUNT; slot++) {
    const of = { ...OF, structure: `LUKS key slot ${slot}` };
    const base = LUKS_SLOTS_AT + slot * LUKS_SLOT_BYTES;
    const salt = [base + LUKS_SLOT_SALT.at, LUKS_SLOT_SALT.bytes] as const;
    fields.push(...fieldsOf(of, LUKS_SLOT, SLOT, piece, base), bytesField(of, 'salt', piece, salt));
  }
  return fields;
}
