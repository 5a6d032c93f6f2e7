import { utf8Text } from '../base/text.js';
import { SECTION } from './stream.js';
import { u32At } from './window.js';

/** Bytes of a footer: its type and the section's id. */
export const FOOTER_BYTES = 5;
/** Bytes that the head of a section takes at most. */
export const SECTION_HEAD_BYTES = 1 + 4 + 1 + 255 + 8;

/** What a section that begins says of itself. */
export interface SectionHead {
  readonly id: number;
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  /** Bytes from its type to its data. */
  readonly length: number;
}

/** Reads the head of a section whose type is at `p`; undefined where bytes are missing. */
export function readSectionHead(bytes: Uint8Array, p: number): SectionHead | undefined {
  const nameBytes = bytes[p + 5];
  if (nameBytes === undefined) return undefined;
  const behind = p + 6 + nameBytes;
  if (behind + 8 > bytes.length) return undefined;
  return {
    id: u32At(bytes, p + 1),
    name: utf8Text(bytes.subarray(p + 6, behind)),
    instance: u32At(bytes, behind),
    version: u32At(bytes, behind + 4),
    length: 14 + nameBytes,
  };
}

/**
 * Looks for the footer of a section.
 *
 * @returns where it is; or, not found, the first byte that is to be looked at again with more bytes behind it.
 */
export function findFooter(
  bytes: Uint8Array,
  from: number,
  id: number,
): { readonly isFound: boolean; readonly at: number } {
  let p = from;
  for (; p + FOOTER_BYTES < bytes.length; p += 1) {
    p = bytes.indexOf(SECTION.footer, p);
    if (p === -1) return { isFound: false, at: Math.max(from, bytes.length - FOOTER_BYTES) };
    if (p + FOOTER_BYTES >= bytes.length) break;
    const next = bytes[p + FOOTER_BYTES]!;
    if (next <= SECTION.full && u32At(bytes, p + 1) === id) return { isFound: true, at: p };
  }
  return { isFound: false, at: p };
}
