/** Ranges of bits that are set, one behind the other: from the first one to the one behind the last. */
export function* setRuns(bytes: Uint8Array): Generator<readonly [number, number]> {
  let first = -1;
  for (const [index, byte] of bytes.entries()) {
    if (byte === (first < 0 ? 0 : 0xff)) continue;
    for (let bit = 0; bit < 8; bit++) {
      const isSet = ((byte >> bit) & 1) !== 0;
      if (isSet && first < 0) first = index * 8 + bit;
      if (isSet || first < 0) continue;
      yield [first, index * 8 + bit];
      first = -1;
    }
  }
  if (first >= 0) yield [first, bytes.length * 8];
}

/** Sets the bits from `first` up to `end`, by another value clears them. */
export function fillBits(bytes: Uint8Array, first: number, end: number, value = true): void {
  let bit = first;
  const one = (): void => {
    const mask = 1 << (bit % 8);
    const at = Math.floor(bit / 8);
    bytes[at] = value ? bytes[at]! | mask : bytes[at]! & ~mask;
    bit += 1;
  };
  while (bit < end && bit % 8 !== 0) one();
  const wholeEnd = Math.floor(end / 8);
  if (bit < end) {
    bytes.fill(value ? 0xff : 0, bit / 8, wholeEnd);
    bit = Math.max(bit, wholeEnd * 8);
  }
  while (bit < end) one();
}
