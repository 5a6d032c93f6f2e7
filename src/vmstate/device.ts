import type { DeviceDescription, DeviceField } from './description.js';

/** The data of one device's section, by the fields that the description tells. */
export class DeviceData {
  readonly bytes: Uint8Array;
  readonly #fields: ReadonlyMap<string, DeviceField>;

  constructor(bytes: Uint8Array, description: DeviceDescription) {
    this.bytes = bytes;
    // A path that comes twice is of elements that differ: the first one is meant.
    const fields = new Map<string, DeviceField>();
    for (const field of description.fields) {
      if (!fields.has(field.path)) fields.set(field.path, field);
    }
    this.#fields = fields;
  }

  /** The bytes of a field; undefined where the device has no such field, or not so many bytes. */
  bytesOf(path: string): Uint8Array | undefined {
    const field = this.#fields.get(path);
    if (field === undefined) return undefined;
    const end = field.at + field.bytes * field.elements;
    return end <= this.bytes.length ? this.bytes.subarray(field.at, end) : undefined;
  }

  /** One element of a field as a number; undefined as for `bytesOf`, or without that element. */
  numberOf(path: string, element = 0): bigint | undefined {
    const field = this.#fields.get(path);
    const bytes = this.bytesOf(path);
    if (field === undefined || bytes === undefined || element >= field.elements) return undefined;
    if (field.bytes > 8) return undefined;
    const from = element * field.bytes;
    return bigEndian(bytes.subarray(from, from + field.bytes));
  }
}

/** The value of so many bytes, the highest first. */
export function bigEndian(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
