/** How values come out of a database: the same from the embedded engine and from a server. */

/** PostgreSQL's numbers of its types. */
const TYPES = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  json: 114,
  float4: 700,
  float8: 701,
  jsonb: 3802,
} as const;

const exactNumber = (text: string): number | string => {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
};

function parsed(text: string): unknown {
  return JSON.parse(text);
}

const READERS: Readonly<Record<number, (text: string) => unknown>> = {
  [TYPES.bool]: (text) => text === 't',
  [TYPES.int8]: exactNumber,
  [TYPES.int2]: Number,
  [TYPES.int4]: Number,
  [TYPES.float4]: Number,
  [TYPES.float8]: Number,
  [TYPES.json]: parsed,
  [TYPES.jsonb]: parsed,
};

/** Of every other type the text stays: dates as the server prints them, numbers of any length whole. */
const asText = (text: string): unknown => text;

/** What reads a value of a type from its text. */
export function readerOf(type: number): (text: string) => unknown {
  return READERS[type] ?? asText;
}
