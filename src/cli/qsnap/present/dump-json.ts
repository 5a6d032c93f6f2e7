import type { DumpedField } from '../../../index.js';
import { hexOfBytes } from '../../../internal.js';

/** A field or a range of entries. docs/schema/dump.json. */
export function dumpedJson(field: DumpedField): Record<string, unknown> {
  const { part, structure, name, at, length, bytes, value, text, entries, problem } = field;
  return {
    part,
    structure,
    name,
    offset: at,
    length,
    hex: hexOfBytes(bytes),
    ...(value !== undefined && { value: typeof value === 'bigint' ? String(value) : value }),
    text,
    ...(entries !== undefined && { first: entries.first, last: entries.last }),
    ...(problem !== undefined && { expected: problem.expected }),
  };
}
