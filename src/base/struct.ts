/**
 * Layouts as data: field names with the byte position that the specification prints and a type.
 * One codec reads and writes them, so the two can't disagree.
 */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64';
export interface Field {
  readonly at: number;
  readonly type: FieldType;
}
export type Layout = Readonly<Record<string, Field>>;

/** What a layout decodes to: `bigint` for u64, since any 64 bits must decode. */
export type Decoded<L extends Layout> = {
  readonly [K in keyof L]: L[K]['type'] extends 'u64' ? bigint : number;
};

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads every field of `layout` at `base`. Total: any bytes decode, if they are enough. */
export function decodeStruct<L extends Layout>(layout: L, bytes: Uint8Array, base = 0): Decoded<L> {
  const view = viewOf(bytes);
  const values: Record<string, number | bigint> = {};
  for (const [name, field] of Object.entries(layout)) {
    const at = base + field.at;
    if (field.type === 'u8') values[name] = view.getUint8(at);
    else if (field.type === 'u16') values[name] = view.getUint16(at);
    else if (field.type === 'u32') values[name] = view.getUint32(at);
    else values[name] = view.getBigUint64(at);
  }
  return values as Decoded<L>;
}

/** Writes the given fields into `bytes` and leaves all other bytes as they are. */
export function encodeStruct<L extends Layout>(
  layout: L,
  values: Partial<Decoded<L>>,
  bytes: Uint8Array,
  base = 0,
): void {
  const view = viewOf(bytes);
  for (const [name, value] of Object.entries(values) as [string, number | bigint][]) {
    const field = layout[name]!;
    const at = base + field.at;
    if (field.type === 'u8') view.setUint8(at, Number(value));
    else if (field.type === 'u16') view.setUint16(at, Number(value));
    else if (field.type === 'u32') view.setUint32(at, Number(value));
    else view.setBigUint64(at, BigInt(value));
  }
}
