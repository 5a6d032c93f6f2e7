import { ForeignJson } from '../base/foreign-json.js';
import { nestsDeeperThan } from '../base/json-depth.js';
import { utf8Bytes } from '../base/text.js';
import { QsnapError } from '../errors.js';
import { VMSTATE_LIMITS } from './limits.js';

/** A field of a device: where it lies in the section's data, and no value. */
export interface DeviceField {
  /** Such as `env.regs`, or `vga/cr` inside a structure. */
  readonly path: string;
  /** QEMU's word for what it is, such as `uint64` or `buffer`. */
  readonly type: string;
  /** Byte offset in the data of the section. */
  readonly at: number;
  /** Bytes of one element. */
  readonly bytes: number;
  readonly elements: number;
}

/** What the description says of a device. */
export interface DeviceDescription {
  readonly name: string;
  readonly instance: number;
  readonly kind: string | undefined;
  readonly version: number | undefined;
  readonly fields: readonly DeviceField[];
  /** Names of the parts that are there only in some machines. */
  readonly subsections: readonly string[];
  /** Bytes of its section's data. */
  readonly bytes: number;
}

/** The description that stands at the end of a stream. */
export interface StreamDescription {
  readonly pageBytes: number | undefined;
  readonly devices: readonly DeviceDescription[];
}

const COUNT_MAX = 2 ** 32;

const json = new ForeignJson((path, actual, expected) => {
  return new QsnapError('VM_STATE_INVALID', `the description of the VM state is wrong at ${path}`, {
    structure: 'VM state',
    expected,
    actual,
  });
});

/**
 * Reads a description.
 *
 * @param bytes its JSON in UTF-8.
 * @throws QsnapError VM_STATE_INVALID.
 */
export function parseDescription(bytes: Uint8Array): StreamDescription {
  if (nestsDeeperThan(VMSTATE_LIMITS.descriptionDepthMax, bytes)) {
    throw json.wrong('its depth', 'more', `at most ${VMSTATE_LIMITS.descriptionDepthMax}`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw json.wrong('its beginning', 'something else', 'JSON');
  }
  const top = json.recordOf(parsed, 'its beginning');
  const pageBytes = top['page_size'];
  return {
    pageBytes: pageBytes === undefined ? undefined : json.integerOf(pageBytes, 'page_size', 1),
    devices: json.listOf(top['devices'], 'devices', VMSTATE_LIMITS.devicesMax, deviceOf),
  };
}

function deviceOf(value: unknown, path: string): DeviceDescription {
  const device = json.recordOf(value, path);
  const reader = new FieldReader();
  const kind = device['vmsd_name'];
  const version = device['version'];
  const subsections = reader.readBody(device, path, '');
  return {
    name: json.textOf(device['name'], `${path}.name`),
    instance: json.integerOf(device['instance_id'], `${path}.instance_id`, -COUNT_MAX, COUNT_MAX),
    kind: kind === undefined ? undefined : json.textOf(kind, `${path}.vmsd_name`),
    version: version === undefined ? undefined : json.integerOf(version, `${path}.version`, 0),
    fields: reader.fields,
    subsections,
    bytes: reader.at,
  };
}

/** Lays the fields of one device out, one behind the other. */
class FieldReader {
  readonly fields: DeviceField[] = [];
  at = 0;
  #count = 0;

  /** Reads fields and subsections of a device, a structure or a subsection. @returns names of the subsections. */
  readBody(body: Readonly<Record<string, unknown>>, path: string, prefix: string): string[] {
    const most = VMSTATE_LIMITS.fieldsMax;
    json.listOf(body['fields'] ?? [], `${path}.fields`, most, (value, at) => {
      this.#readField(json.recordOf(value, at), at, prefix);
    });
    return json.listOf(body['subsections'] ?? [], `${path}.subsections`, most, (value, at) => {
      const part = json.recordOf(value, at);
      const name = json.textOf(part['vmsd_name'], `${at}.vmsd_name`);
      // Type, length of the name, name, version.
      this.at += 2 + utf8Bytes(name).length + 4;
      this.readBody(part, at, `${prefix}${name}/`);
      return name;
    });
  }

  #readField(field: Readonly<Record<string, unknown>>, path: string, prefix: string): void {
    this.#count += 1;
    if (this.#count > VMSTATE_LIMITS.fieldsMax) {
      throw json.wrong(path, 'more fields', `at most ${VMSTATE_LIMITS.fieldsMax}`);
    }
    const name = `${prefix}${json.textOf(field['name'], `${path}.name`)}`;
    const bytes = json.integerOf(field['size'], `${path}.size`, 0, COUNT_MAX);
    const elements = json.integerOf(field['array_len'] ?? 1, `${path}.array_len`, 0, COUNT_MAX);
    const type = json.textOf(field['type'], `${path}.type`);
    const { at } = this;
    this.fields.push({ path: name, type, at, bytes, elements });
    if (field['struct'] !== undefined) {
      // Of a list of structures the first one shows the places in each.
      this.readBody(json.recordOf(field['struct'], `${path}.struct`), path, `${name}/`);
    }
    this.at = at + bytes * elements;
    if (this.at > VMSTATE_LIMITS.deviceBytesMax) {
      throw json.wrong(path, this.at, `at most ${VMSTATE_LIMITS.deviceBytesMax} bytes of a device`);
    }
  }
}
