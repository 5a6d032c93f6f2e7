import { VMSTATE_LIMITS } from '../../vmstate/limits.js';
import { SECTION } from '../../vmstate/stream.js';
import { u32At } from '../../vmstate/window.js';
import type { VmStateSource } from './source.js';
import { Windows } from './windows.js';

const HEAD_BYTES = 7;
const BRACE = 0x7b;
const END_BRACE = 0x7d;
const QUOTE = 0x22;

/** The JSON at the end of a stream. */
export interface FoundDescription {
  /** Byte offset in the stream of its type. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** Where the stream ends. */
  readonly end: number;
}

/**
 * Looks for the description behind the end of RAM. Only it tells how long the sections of devices are, so that nothing
 * but its own look can lead there: type, length, an object that mentions devices and closes where the length says.
 */
export async function findDescription(
  source: VmStateSource,
  from: number,
): Promise<FoundDescription | undefined> {
  const windows = new Windows(source, from);
  const last = from + VMSTATE_LIMITS.deviceBytesMax;
  let tries = 0;
  let position = from;
  while (position < last && (await windows.moveTo(position))) {
    const { bytes, base } = windows.window;
    let p = position - base;
    for (; p + HEAD_BYTES <= bytes.length; p += 1) {
      p = bytes.indexOf(SECTION.description, p);
      if (p === -1 || p + HEAD_BYTES > bytes.length) break;
      const length = u32At(bytes, p + 1);
      const isLike = bytes[p + 5] === BRACE && bytes[p + 6] === QUOTE;
      if (!isLike || length > VMSTATE_LIMITS.descriptionBytesMax) continue;
      if (base + p + 5 + length > source.mappedBytes) continue;
      tries += 1;
      if (tries > VMSTATE_LIMITS.descriptionTriesMax) return undefined;
      const found = await readOne(source, base + p, length);
      if (found !== undefined) return found;
    }
    position = base + (p === -1 ? bytes.length - HEAD_BYTES + 1 : p);
  }
  return undefined;
}

async function readOne(
  source: VmStateSource,
  at: number,
  length: number,
): Promise<FoundDescription | undefined> {
  const bytes = new Uint8Array(length);
  await source.readBatch([{ at: at + 5, into: bytes }]);
  if (bytes[length - 1] !== END_BRACE) return undefined;
  if (!new TextDecoder('latin1').decode(bytes).includes('"devices"')) return undefined;
  return { at, bytes, end: at + 5 + length };
}
