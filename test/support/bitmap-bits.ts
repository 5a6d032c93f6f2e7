/** A second reader of persistent bitmaps: each as a string of its bits, by the specification alone. */
export interface PlainBitmap {
  readonly name: string;
  readonly flags: number;
  readonly granularityBits: number;
  /** Ranges of bits that are set. */
  readonly set: string;
}

const EXTENSION = 0x23852875;

/** None where the autoclear bit does not say that they can be relied on. */
export function plainBitmaps(file: Buffer): readonly PlainBitmap[] {
  if (file.readUInt32BE(4) < 3 || (file.readUInt32BE(92) & 1) === 0) return [];
  let at = file.readUInt32BE(100);
  while (file.readUInt32BE(at) !== EXTENSION) {
    if (file.readUInt32BE(at) === 0) return [];
    at += 8 + Math.ceil(file.readUInt32BE(at + 4) / 8) * 8;
  }
  let entryAt = Number(file.readBigUInt64BE(at + 24));
  return Array.from({ length: file.readUInt32BE(at + 8) }, () => {
    const extra = file.readUInt32BE(entryAt + 20);
    const nameBytes = file.readUInt16BE(entryAt + 18);
    const nameAt = entryAt + 24 + extra;
    const bitmap = {
      name: file.toString('latin1', nameAt, nameAt + nameBytes),
      flags: file.readUInt32BE(entryAt + 12),
      granularityBits: file.readUInt8(entryAt + 17),
      set: rangesOf(file, entryAt),
    };
    entryAt += Math.ceil((24 + extra + nameBytes) / 8) * 8;
    return bitmap;
  });
}

function rangesOf(file: Buffer, entryAt: number): string {
  const clusterBytes = 2 ** file.readUInt32BE(20);
  const disk = Number(file.readBigUInt64BE(24));
  const bits = Math.ceil(disk / 2 ** file.readUInt8(entryAt + 17));
  const tableAt = Number(file.readBigUInt64BE(entryAt));
  const ranges: string[] = [];
  let first = -1;
  const see = (bit: number, isSet: boolean): void => {
    if (isSet && first < 0) first = bit;
    if (isSet || first < 0) return;
    ranges.push(`${first}-${bit - 1}`);
    first = -1;
  };
  const perCluster = clusterBytes * 8;
  for (let index = 0; index < file.readUInt32BE(entryAt + 8); index++) {
    const entry = file.readBigUInt64BE(tableAt + index * 8);
    const end = Math.min(bits - index * perCluster, perCluster);
    if (entry < 2n) see(index * perCluster, entry === 1n && end > 0);
    else {
      for (let bit = 0; bit < end; bit++) {
        const byte = file.readUInt8(Number(entry) + Math.floor(bit / 8));
        see(index * perCluster + bit, ((byte >> (bit % 8)) & 1) !== 0);
      }
    }
  }
  see(bits, false);
  return ranges.join(' ');
}
