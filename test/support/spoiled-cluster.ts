import { readFileSync, writeFileSync } from 'node:fs';

/** Overwrites the beginning of the first compressed cluster with what no decoder takes. */
export function spoilFirstCompressed(image: string): void {
  const bytes = readFileSync(image);
  const l2At = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0xffff_ffff_fe00n);
  for (let entryAt = l2At; ; entryAt += 8) {
    const entry = bytes.readBigUInt64BE(entryAt);
    if ((entry & (1n << 62n)) === 0n) continue;
    const from = Number(entry & ((1n << 54n) - 1n));
    bytes.fill(0xff, from, from + 8);
    break;
  }
  writeFileSync(image, bytes);
}
