/** Backing files to record: short and long names, with formats and without, and none. */
import type { NewBacking } from '../../src/edit/header/plan-backing.js';

export const NEW_BACKINGS: Readonly<Record<string, NewBacking | undefined>> = {
  none: undefined,
  short: { name: 'base.qcow2', format: 'qcow2' },
  'another format': { name: 'disk', format: 'raw' },
  'a format of many letters': { name: 'other.img', format: 'snapshot-access' },
  'a name with bytes that are no text': { name: new Uint8Array([0x2f, 0xff, 0xc3]), format: 'raw' },
  'a name of 300 bytes': { name: 'n'.repeat(300), format: 'qcow2' },
  'the longest name': { name: 'n'.repeat(1023), format: 'qcow2' },
};
