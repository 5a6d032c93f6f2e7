/**
 * Where the fields of VM state streams lie in a file. They are found by their look, since a stream lies in clusters
 * anywhere, and a damaged one is to be damaged once more.
 */
import { SECTION } from '../../../src/vmstate/stream.js';
import type { Field } from './fields.js';

/** Takes a field of a kind. */
export type AddField = (kind: string, at: number, bytes: Field['bytes'], name: string) => void;

/** Places of one look that are taken: those of RAM are as many as there are pages. */
const PLACES_MAX = 64;
/** RAM blocks of one list, and digits of one description. */
const BLOCKS_MAX = 8;
const DIGITS_MAX = 256;
const NAME_BYTES_MAX = 64;

/** Adds the fields of all streams of a file; of one without VM state none. */
export function addVmStates(bytes: Uint8Array, add: AddField): void {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const heads = placesOf(file, Buffer.from('QEVM')).filter((at) => at % 512 === 0);
  if (heads.length === 0) return;
  for (const at of heads) {
    add('VM section', at + 4, 4, 'VM state: version');
    add('VM section', at + 8, 1, 'VM state: first type');
    add('VM section', at + 9, 4, 'VM state: length of the machine');
  }
  for (const at of placesOf(file, Buffer.from('\x03ram'))) addRam(file, at, add);
  for (const at of placesOf(file, Buffer.from([SECTION.footer, 0, 0]))) addFooter(file, at, add);
  for (const at of placesOf(file, Buffer.from('{"'))) addDescription(file, at, add);
}

function placesOf(file: Buffer, look: Buffer): readonly number[] {
  const places: number[] = [];
  for (let at = file.indexOf(look); at !== -1; at = file.indexOf(look, at + 1)) {
    places.push(at);
    if (places.length === PLACES_MAX) break;
  }
  return places;
}

/** A section of RAM: its head up to `at`, where its name is, then the list of blocks. */
function addRam(file: Buffer, at: number, add: AddField): void {
  addHead(at - 5, 3, add);
  add('VM RAM', at + 12, 8, 'VM RAM: bytes of all blocks');
  let p = at + 20;
  for (let i = 0; i < BLOCKS_MAX && isName(file, p); i += 1) {
    const sizeAt = p + 1 + file[p]!;
    add('VM RAM', p, 1, 'VM RAM: length of a name');
    add('VM RAM', sizeAt, 8, 'VM RAM: bytes of a block');
    p = sizeAt + 8;
  }
  // Of mapped RAM: the size of a page, and where the bitmap and the pages are.
  for (const field of [4, 12, 20]) add('VM RAM', p + field, 8, `VM RAM: mapped +${field}`);
  add('VM RAM', p, 8, 'VM RAM: a record');
}

function addHead(at: number, nameBytes: number, add: AddField): void {
  add('VM section', at, 1, 'VM section: type');
  add('VM section', at + 1, 4, 'VM section: id');
  add('VM section', at + 5, 1, 'VM section: length of the name');
  add('VM section', at + 6 + nameBytes, 4, 'VM section: instance');
  add('VM section', at + 10 + nameBytes, 4, 'VM section: version');
}

/** A footer, and what begins behind it: a device, or more of RAM. */
function addFooter(file: Buffer, at: number, add: AddField): void {
  const next = file[at + 5];
  if (next === undefined || next > SECTION.configuration) return;
  add('VM section', at, 1, 'VM section: footer');
  add('VM section', at + 1, 4, 'VM section: id in the footer');
  if (next === SECTION.full && isName(file, at + 10)) addHead(at + 5, file[at + 10]!, add);
  else if (next === SECTION.part || next === SECTION.last) {
    add('VM RAM', at + 10, 8, 'VM RAM: a record');
  }
}

/** The length of a description, and the digits in it: sizes and counts. */
function addDescription(file: Buffer, at: number, add: AddField): void {
  if (at < 5 || file[at - 5] !== SECTION.description) return;
  add('VM description', at - 4, 4, 'VM description: length');
  const end = Math.min(file.length, at + file.readUInt32BE(at - 4));
  let left = DIGITS_MAX;
  for (let p = at; p < end && left > 0; p += 1) {
    if (file[p]! < 0x30 || file[p]! > 0x39) continue;
    add('VM description', p, 1, 'VM description: a digit');
    left -= 1;
  }
}

/** A name with its length in front of it, such as those of devices and RAM blocks. */
function isName(file: Buffer, at: number): boolean {
  const length = file[at] ?? 0;
  const name = file.subarray(at + 1, at + 1 + length);
  return length > 0 && length <= NAME_BYTES_MAX && name.every((byte) => byte > 0x20 && byte < 0x7f);
}
